"""Run the generator in a process of its own, so that it doesn't slow down the view.

``python -m firstclick.demo.feed RATE DURATION BACKFILL``: a DURATION of ``-`` has no
end. Prints the generator's progress as one JSON object a line, and an error as the last
line.
"""

import contextlib
import signal
import subprocess
import sys
import threading
from typing import IO

import msgspec

from firstclick.core.environment import child_environment
from firstclick.core.errors import FirstClickError
from firstclick.core.pipeline import Pipeline
from firstclick.core.processes import Command
from firstclick.core.settings import Settings
from firstclick.core.signals import on_signals
from firstclick_generator import Progress, generate

_STOP_SECONDS = 15
"""How long the generator may take until Kafka has acknowledged its messages."""


class Feed:
    """The generator's process, as a context manager that stops it.

    Use it in a thread that lives as long: the process ends with the thread.
    """

    def __init__(
        self,
        stack: Pipeline,
        rate: float,
        duration: float | None,
        backfill_hours: float,
    ) -> None:
        self._command = Command(
            [
                *(sys.executable, "-m", "firstclick.demo.feed", repr(rate)),
                "-" if duration is None else repr(duration),
                repr(backfill_hours),
            ],
            child_environment(
                {
                    **stack.kafka.environment(),
                    "FIRSTCLICK_PROJECT": str(stack.project),
                    "FIRSTCLICK_TOPIC_PREFIX": stack.topic_prefix,
                }
            ),
            stack.home,
        )
        self.progress: Progress | None = None
        self._complaint = "it gave no reason"

    def __enter__(self) -> "Feed":
        self._process = subprocess.Popen(
            self._command.guarded(),
            env=self._command.environment,
            cwd=self._command.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), daemon=True
        )
        self._reader.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def runs(self) -> bool:
        """True while the generator runs. Raises FirstClickError if it failed."""
        code = self._process.poll()
        if code is None:
            return True
        self._reader.join(1)
        if code != 0:
            raise FirstClickError(f"the generator ended: {self._complaint}")
        return False

    def stop(self) -> None:
        """Ask the generator to flush its messages and end; kill it after 15 s."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                try:
                    self.progress = msgspec.json.decode(line, type=Progress)
                except msgspec.MsgspecError:
                    self._complaint = line.strip()


def main(rate: str, duration: str, backfill_hours: str) -> int:
    stop = threading.Event()
    settings = Settings.load()
    kafka = settings.kafka
    assert kafka is not None
    with on_signals(stop.set), contextlib.suppress(BrokenPipeError):
        try:
            progress = generate(
                kafka.servers,
                topic_prefix=settings.topic_prefix,
                producer_config=kafka.client(),
                rate=float(rate),
                duration=None if duration == "-" else float(duration),
                backfill_hours=float(backfill_hours),
                stop=stop,
                on_progress=_tell,
                seeds=settings.project / "seeds",
            )
        except FirstClickError as error:
            print(error, flush=True)
            return 1
        _tell(progress)
    return 0


def _tell(progress: Progress) -> None:
    print(msgspec.json.encode(progress).decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
