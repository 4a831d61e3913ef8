"""What a worker can't do just now, left in a file for ``firstclick status``."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from firstclick.core.home import write_private

SUFFIX = ".failure"
"""Of the files, each named after its worker and what fails."""

QUIET_SECONDS = 15.0
"""Without a failure for so long, the next one has nothing to do with the last."""

_RELAPSES = 3
"""Of what works and fails in turn, so many make it count as failing."""


class Failure(msgspec.Struct):
    """Times are of ``time.monotonic()``, which all processes of a machine share."""

    subject: str
    """What fails, for example `Kafka`."""
    reason: str
    since: float
    latest: float
    works: bool = False
    """Whether it has succeeded after the latest failure."""
    relapses: int = 0
    """How often it failed again after it had succeeded."""

    def is_over(self, now: float) -> bool:
        if not self.works:
            return False
        return self.relapses < _RELAPSES or now - self.latest > QUIET_SECONDS


class FailureFile:
    """The file of one worker and one subject; nothing is kept without a directory."""

    def __init__(self, directory: Path | None, worker: str, subject: str) -> None:
        self._file = (
            None if directory is None else directory / f"{worker}.{subject}{SUFFIX}"
        )
        self._subject = subject
        self._failure = self._read()

    def note(self, reason: str) -> None:
        """Note a failure."""
        now = time.monotonic()
        last = self._failure
        if last is None or (last.works and now - last.latest > QUIET_SECONDS):
            self._failure = Failure(self._subject, reason, now, now)
        else:
            last.reason, last.latest = reason, now
            last.relapses += last.works
            last.works = False
        self._write()

    def clear(self) -> None:
        """Note a success; costs nothing unless it is the first after a failure."""
        if self._failure is not None and not self._failure.works:
            self._failure.works = True
            self._write()

    def _read(self) -> Failure | None:
        # Of the process before this one, which may have ended because of it
        if self._file is None:
            return None
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Failure)
        except (OSError, msgspec.DecodeError):
            return None

    def _write(self) -> None:
        if self._file is not None:
            # On a full disk the old one stays
            with contextlib.suppress(OSError):
                write_private(self._file, msgspec.json.encode(self._failure))


def failures(directory: Path, worker: str) -> Iterator[Failure]:
    """What a worker fails at now."""
    now = time.monotonic()
    for file in sorted(directory.glob(f"{worker}.*{SUFFIX}")):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            failure = msgspec.json.decode(file.read_bytes(), type=Failure)
            if not failure.is_over(now):
                yield failure
