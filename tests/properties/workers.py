"""The connector and the publisher, which tests end and start again at once.

A supervisor would wait longer with each restart.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from firstclick.core.pipeline import Pipeline

NAMES = ("connector", "publisher")


class Workers:
    """Both processes, which log into the stack's home."""

    def __init__(self, stack: Pipeline) -> None:
        self._stack = stack
        self._processes = {name: self._start(name) for name in NAMES}

    def restart(self, name: str, *, kill: bool) -> None:
        self._end(name, kill)
        self._processes[name] = self._start(name)

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """End these workers; start them again after the block."""
        for name in names:
            self._end(name, kill=False)
        try:
            yield
        finally:
            for name in names:
                self._processes[name] = self._start(name)

    def end(self) -> None:
        for name in NAMES:
            self._end(name, kill=True)

    def _end(self, name: str, kill: bool) -> None:
        process = self._processes[name]
        if kill:
            process.kill()
        else:
            process.terminate()
        process.wait(30)

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        stack = self._stack
        with (stack.home / "logs" / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"firstclick.workers.{name}"],
                env={
                    **os.environ,
                    "DATABASE_URL": stack.database_url,
                    "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
                    "FIRSTCLICK_SCHEMA": stack.schema_name,
                    "FIRSTCLICK_TOPIC_PREFIX": stack.topic_prefix,
                },
                stderr=log,
            )


@contextmanager
def at_work(stack: Pipeline) -> Iterator[Workers]:
    workers = Workers(stack)
    try:
        yield workers
    finally:
        workers.end()
