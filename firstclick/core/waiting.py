"""Waiting that a signal interrupts, and pauses between retries."""

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
"""Seconds between attempts. The pause doubles from one attempt to the next."""


class Stopped(Exception):
    """A signal asked the process to end during a wait."""


class Stop:
    """A request to end, which interrupts waits.

    `stoppable` gives you one that SIGTERM and SIGINT set.
    """

    def __init__(self) -> None:
        self.requested = False
        self._signalled, self._signal = socket.socketpair()

    def request(self) -> None:
        """Request the end. You may call this in a signal handler, and repeatedly."""
        if not self.requested:
            self.requested = True
            self._signal.send(b"\0")

    def wait(self, seconds: float) -> None:
        """Wait for that many seconds.

        Raises Stopped as soon as the end is requested, or if it was requested before.
        """
        if select.select([self._signalled], [], [], seconds)[0]:
            raise Stopped


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Yield a `Stop` that SIGTERM and SIGINT set during the block."""
    stop = Stop()
    with on_signals(stop.request):
        yield stop


class Backoff:
    """Growing pauses between retries, each with a log line, and one for the recovery.

    The pauses only become short again after a while without a failure, so that
    something that works and fails in turn can't fill the log.
    """

    def __init__(
        self, subject: str, log: logging.Logger, directory: Path | None = None
    ) -> None:
        """Record failures in ``directory``, for ``firstclick status``.

        ``subject`` names the thing that may fail, for example ``Kafka``.
        """
        self._file = FailureFile(directory, log.name, subject)
        self._subject = subject
        self._log = log
        self._pause = FIRST_PAUSE
        self._since: float | None = None
        self._latest = 0.0

    def failed(self, reason: object) -> float:
        """Log a failure, and return the seconds to pause before the next attempt."""
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
        """Note a success, and log it if it is the first one after a failure."""
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
    """Return an error's text on one line, without PostgreSQL's CONTEXT lines."""
    return " ".join(str(reason).partition("\nCONTEXT:")[0].split())
