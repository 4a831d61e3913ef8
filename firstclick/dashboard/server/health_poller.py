"""Poll whether the pipeline is alive, and how old its answers are."""

import logging
import time
from typing import Literal

import msgspec
from psycopg import sql

from firstclick.dashboard.server.database import Database, DatabaseUnavailable, Failed
from firstclick.dashboard.server.poller import Poller

STALE_SECONDS = 5.0
"""From this freshness on, the page says that its figures are old."""

_STANDING_SECONDS = 10.0
"""Without progress for this long, the pipeline counts as stopped.

A large batch takes some seconds, so a shorter standstill is normal.
"""

_QUIET_SECONDS = 60
"""From this age of the newest event on, the page mentions it."""
_INTERVAL = 1.0

State = Literal["live", "behind", "stopped", "away"]

_HEALTH = sql.SQL(
    "select max(freshness_seconds)::float8, sum(lag_messages)::bigint,"
    " extract(epoch from now() - max(newest_event_time))::float8,"
    " max(newest_kafka_time)"
    " from {}.pipeline_health"
)


class Life(msgspec.Struct, frozen=True, omit_defaults=True):
    """The pipeline's state.

    ``behind`` means that messages in Kafka are read, but late; ``stopped``, that none
    are read; ``away``, that the database doesn't answer. ``age`` is how old the figures
    on the page are, and ``quiet`` how old the newest event is if that is unusual, both
    in seconds. ``lag`` is in messages.
    """

    state: State
    age: float | None = None
    lag: int | None = None
    quiet: int | None = None


class HealthPoller(Poller):
    """Polls the pipeline's health."""

    def __init__(self, database: Database, schema: str, log: logging.Logger) -> None:
        super().__init__("pulse", log)
        self._database = database
        self._statement = _HEALTH.format(sql.Identifier(schema)).as_string()
        self._newest: int | None = None
        self._moved = self._answered = time.monotonic()

    async def ask(self) -> float:
        self.latest.publish(await self._look())
        return _INTERVAL

    async def _look(self) -> Life:
        try:
            frame, _ = await self._database.query(self._statement, 0)
        except DatabaseUnavailable:
            return Life("away", age=round(time.monotonic() - self._answered))
        except Failed:
            return Life("stopped")
        self._answered = time.monotonic()
        freshness, lag, quiet, newest = frame.rows[0]
        if newest != self._newest:
            self._newest, self._moved = newest, self._answered
        if freshness is None or freshness < STALE_SECONDS:
            old = quiet is not None and quiet >= _QUIET_SECONDS
            return Life("live", quiet=60 * int(quiet // 60) if old else None)
        reads = lag != 0 and self._answered - self._moved < _STANDING_SECONDS
        return Life("behind" if reads else "stopped", round(freshness), lag)
