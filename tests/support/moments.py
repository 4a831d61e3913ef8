"""The moments that an engine has been at, for one whose relations may be behind."""

import contextlib
import threading
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import psycopg
from psycopg.abc import Query

LONGEST_BEHIND = timedelta(seconds=60)

_POLL = 0.1


class Moments:
    """Asks for the moment, in a session of its own, until the block ends."""

    def __init__(self, database_url: str, now: Query) -> None:
        self._database_url = database_url
        self._now = now
        self._seen: list[datetime] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def before(self, moment: datetime) -> list[datetime]:
        """Return those of the time before, the latest first."""
        return [
            seen
            for seen in reversed(self._seen)
            if moment - LONGEST_BEHIND <= seen < moment
        ]

    def _watch(self) -> None:
        while not self._stop.is_set():
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(self._database_url, autocommit=True) as session,
            ):
                while not self._stop.wait(_POLL):
                    [(now,)] = session.execute(self._now).fetchall()
                    if now not in self._seen[-1:]:
                        self._seen.append(now)
            self._stop.wait(_POLL)
