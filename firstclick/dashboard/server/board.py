"""Track who looks at which panels, and run the queries that this needs."""

import asyncio
import contextlib
import logging
import math
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from firstclick.dashboard.definition import Dashboard, Panel, TimeRange, statement
from firstclick.dashboard.server.database import Database, DatabaseUnavailable, Failed
from firstclick.dashboard.server.frames import Column
from firstclick.dashboard.server.health_poller import HealthPoller
from firstclick.dashboard.server.latest_value import Watcher
from firstclick.dashboard.server.poller import Poller

INTERVAL = 1.0
"""Seconds between two queries of a cheap panel."""

SHARE = 0.5
"""How much of one connection's time all panels together may take; 1 is all of it."""

LONGEST_REST = 15.0
"""The longest pause between two queries of a slow panel, in seconds."""

SPAN = "span"
"""The variable that viewers may choose."""

_SPANNED = re.compile(r"\$(\{span\}|span\b|__time)")
"""Matches SQL that depends on the chosen span."""


class Values(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message to the browser: a panel's columns and rows, or an error."""

    panel: int
    columns: tuple[Column, ...] | None = None
    rows: list[tuple[Any, ...]] | None = None
    error: str | None = None


class Source(Poller):
    """Polls a panel's values for one choice of the variables."""

    def __init__(
        self, board: "Board", dashboard: Dashboard, panel: Panel, span: str | None
    ) -> None:
        super().__init__("panel", board.log)
        self._board = board
        self._dashboard = dashboard
        self._panel = panel
        self._span = span
        self._seconds = 0.0

    async def ask(self) -> float:
        with contextlib.suppress(DatabaseUnavailable):
            self.latest.publish(await self._values())
        # Wait for the next full second, so that the panels of a page change together
        now = asyncio.get_running_loop().time()
        rest = min(self._seconds * self._board.asking / SHARE, LONGEST_REST)
        return (math.floor((now + rest) / INTERVAL) + 1) * INTERVAL - now

    async def _values(self) -> Values:
        try:
            frame, self._seconds = await self._board.database.query(
                self._board.statement(self._dashboard, self._panel, self._span),
                self._seconds,
            )
        except Failed as error:
            self._seconds = error.seconds
            return Values(self._panel.id, error=str(error))
        return Values(self._panel.id, frame.columns, frame.rows)


@dataclass(frozen=True)
class Counts:
    """How many viewers, polled panels and queries there are."""

    viewers: int
    asking: int
    queries: int
    query_seconds: float


class Board:
    """All dashboards, and a poller for each panel that somebody looks at."""

    def __init__(
        self,
        dashboards: Mapping[str, Dashboard],
        database: Database,
        schema: str,
        log: logging.Logger,
    ) -> None:
        self.dashboards = dashboards
        self.database = database
        self.log = log
        self._schema = schema
        self._health = HealthPoller(database, schema, log)
        self._sources: dict[tuple[str, int, str | None], Source] = {}
        self._viewers = 0

    @property
    def asking(self) -> int:
        """How many panels are being polled."""
        return sum(bool(source.latest.watchers) for source in self._sources.values())

    @property
    def counts(self) -> Counts:
        stats = self.database.stats
        return Counts(self._viewers, self.asking, stats.queries, stats.seconds)

    @asynccontextmanager
    async def watch(self, dashboard: Dashboard, span: str) -> AsyncIterator[Watcher]:
        """Let somebody look at a dashboard for as long as the block runs."""
        watched: list[Poller] = [
            self._health,
            *(self._source(dashboard, panel, span) for panel in dashboard.panels),
        ]
        self._viewers += 1
        try:
            with Watcher([each.latest for each in watched]) as watcher:
                for each in watched:
                    each.start()
                yield watcher
        finally:
            self._viewers -= 1
            for each in watched:
                each.rest()

    def statement(self, dashboard: Dashboard, panel: Panel, span: str | None) -> str:
        """Return a panel's SQL for the time range that ends now."""
        values = {"schema": self._schema}
        if span is not None and SPAN in dashboard.variables:
            values[SPAN] = span
        length = dashboard.time.from_
        if SPAN in dashboard.variables and span is not None:
            length = span
        times = TimeRange.last(length, datetime.now(UTC))
        return statement(dashboard, panel.target.raw_sql, values, times)

    def _source(self, dashboard: Dashboard, panel: Panel, span: str) -> Source:
        spanned = SPAN in dashboard.variables and _SPANNED.search(panel.target.raw_sql)
        key = (dashboard.uid, panel.id, span if spanned else None)
        if key not in self._sources:
            self._sources[key] = Source(self, dashboard, panel, key[2])
        return self._sources[key]
