"""The connector and the publisher, which tests end and start again at once.

A supervisor would wait longer with each restart.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from firstclick.core.pipeline import Pipeline
from worker_world import Worker, start_worker

NAMES = ("connector", "publisher")


class Workers:
    """Both processes, which log into the stack's home."""

    def __init__(self, stack: Pipeline) -> None:
        self._stack = stack
        self._workers = {name: self._start(name) for name in NAMES}

    def restart(self, name: str, *, kill: bool) -> None:
        self._end(name, kill)
        self._workers[name] = self._start(name)

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """End these workers; start them again after the block."""
        for name in names:
            self._end(name, kill=False)
        try:
            yield
        finally:
            for name in names:
                self._workers[name] = self._start(name)

    def end(self) -> None:
        for name in NAMES:
            self._end(name, kill=True)

    def _end(self, name: str, kill: bool) -> None:
        worker = self._workers[name]
        if kill:
            worker.kill()
        else:
            worker.terminate()

    def _start(self, name: str) -> Worker:
        log = self._stack.home / "logs" / f"{name}.log"
        return start_worker(name, self._stack, log)


@contextmanager
def at_work(stack: Pipeline) -> Iterator[Workers]:
    workers = Workers(stack)
    try:
        yield workers
    finally:
        workers.end()
