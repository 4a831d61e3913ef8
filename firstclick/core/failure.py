"""Files in which workers record their current failures for ``firstclick status``."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from firstclick.core.home import write_private

SUFFIX = ".failure"
"""Suffix of the files, which are named WORKER.SUBJECT.failure."""

QUIET_SECONDS = 15.0
"""After this long without a failure, the next failure counts as a new one."""

_RELAPSES = 3
"""How many relapses make something that works and fails in turn count as failing."""


class Failure(msgspec.Struct):
    """Repeated failure of one thing. Times are in seconds, by ``time.monotonic()``,
    which all processes of a machine share.
    """

    subject: str
    """The thing that fails, for example `Kafka`."""
    reason: str
    """The latest error, on one line."""
    since: float
    """When it first failed."""
    latest: float
    """When it last failed."""
    works: bool = False
    """True if it has succeeded since the latest failure."""
    relapses: int = 0
    """How often it failed again after a success."""

    def is_over(self, now: float) -> bool:
        """Return whether to stop reporting the failure."""
        if not self.works:
            return False
        return self.relapses < _RELAPSES or now - self.latest > QUIET_SECONDS


class FailureFile:
    """The file of one worker and subject. Without a directory, nothing is written."""

    def __init__(self, directory: Path | None, worker: str, subject: str) -> None:
        self._file = (
            None if directory is None else directory / f"{worker}.{subject}{SUFFIX}"
        )
        self._subject = subject
        self._failure = self._read()

    def note(self, reason: str) -> None:
        """Record a failure. ``reason`` is one line."""
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
        """Record a success. Only the first one after a failure writes the file."""
        if self._failure is not None and not self._failure.works:
            self._failure.works = True
            self._write()

    def _read(self) -> Failure | None:
        # The previous process may have ended because of this very failure
        if self._file is None:
            return None
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Failure)
        except (OSError, msgspec.DecodeError):
            return None

    def _write(self) -> None:
        if self._file is not None:
            # If the disk is full, the old file stays
            with contextlib.suppress(OSError):
                write_private(self._file, msgspec.json.encode(self._failure))


def failures(directory: Path, worker: str) -> Iterator[Failure]:
    """Yield the current failures of a worker."""
    now = time.monotonic()
    for file in sorted(directory.glob(f"{worker}.*{SUFFIX}")):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            failure = msgspec.json.decode(file.read_bytes(), type=Failure)
            if not failure.is_over(now):
                yield failure
