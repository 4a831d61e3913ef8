"""Waiting: until a signal comes, and between attempts at something that fails."""

import logging
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firstclick.core.failure import FailureFile
from firstclick.core.signals import on_signals

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between attempts; doubled from one to the next."""


class Stopped(Exception):
    """A signal asked for the end while something was waited for."""


class Stop:
    """Whether the end was requested; a wait for it ends at once when it is.

    `stoppable` makes one that SIGTERM and SIGINT request.
    """

    def __init__(self) -> None:
        self.requested = False
        self._signalled, self._signal = socket.socketpair()

    def request(self) -> None:
        """Ask for the end. May be called from a signal handler, and again."""
        if not self.requested:
            self.requested = True
            self._signal.send(b"\0")

    def wait(self, seconds: float) -> None:
        """Wait so long. Raises Stopped when the end is requested, now or before."""
        if select.select([self._signalled], [], [], seconds)[0]:
            raise Stopped


@contextmanager
def stoppable() -> Iterator[Stop]:
    """A Stop that SIGTERM and SIGINT request while the block runs."""
    stop = Stop()
    with on_signals(stop.request):
        yield stop


class Backoff:
    """Pauses between attempts at one thing, with a log line for each and the end.

    They are short again only after a while without a failure, so that something that
    works and fails in turn can't fill the log.
    """

    def __init__(
        self, subject: str, log: logging.Logger, directory: Path | None = None
    ) -> None:
        """A failure is left in ``directory`` for who asks how the worker does."""
        self._file = FailureFile(directory, log.name, subject)
        self._subject = subject
        self._log = log
        self._pause = FIRST_PAUSE
        self._since: float | None = None
        self._latest = 0.0

    def failed(self, reason: object) -> float:
        """Note a failure; returns the seconds to pause before the next attempt."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            if now - self._latest > 2 * LONGEST_PAUSE:
                self._pause = FIRST_PAUSE
        self._latest = now
        self._file.note(one_line(reason))
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        self._log.warning(
            # Cause: Kafka or PostgreSQL does not answer, or refused something.
            # Remedy: Nothing, if `works again` follows. Otherwise, look at the server
            #   that the message names. Nothing is lost meanwhile.
            "%s: %s; trying again in %.1f s",
            *(self._subject, one_line(reason), pause),
            extra={"subject": self._subject, "pause_seconds": pause},
        )
        return pause

    def succeeded(self) -> None:
        """Note a success, in the log too when it is the first after a failure."""
        if self._since is not None:
            seconds = time.monotonic() - self._since
            self._log.info(
                "%s: works again after %.1f s",
                *(self._subject, seconds),
                extra={"subject": self._subject, "seconds": seconds},
            )
            self._since = None
        self._file.clear()


def one_line(reason: object) -> str:
    """Return an error's text on one line, without the statements in its context."""
    return " ".join(str(reason).partition("\nCONTEXT:")[0].split())
