"""Serve ``/metrics``: metrics of the database, of the page, and of the workers."""

import logging
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from psycopg import sql

from firstclick.core.metrics import SUFFIX
from firstclick.dashboard.server.board import Board, Counts
from firstclick.dashboard.server.connections import Connections
from firstclick.dashboard.server.database import DatabaseUnavailable, Failed

_HEALTH = sql.SQL(
    "select topic, accepted, rejected, lag_messages,"
    " freshness_seconds::float8 as freshness_seconds,"
    " newest_event_time, newest_kafka_time, lost_messages"
    " from {}.pipeline_health order by topic"
)
_ENGINE = sql.SQL("select engine, version from {}.pipeline_engine")

_BY_TOPIC = {
    "lag_messages": (
        "firstclick_lag_messages",
        "Messages in Kafka that queries don't see yet.",
        1.0,
    ),
    "freshness_seconds": (
        "firstclick_freshness_seconds",
        "How many seconds the answers of queries are behind Kafka.",
        1.0,
    ),
    "lost_messages": (
        "firstclick_lost_messages",
        "Messages that Kafka deleted before First Click read them.",
        1.0,
    ),
    "newest_event_time": (
        "firstclick_newest_event_timestamp_seconds",
        "The latest event time of an accepted message.",
        0.001,
    ),
    "newest_kafka_time": (
        "firstclick_newest_kafka_timestamp_seconds",
        "When Kafka appended the newest message that queries see.",
        0.001,
    ),
}
"""Metrics by column of pipeline_health: name, meaning, and factor to the base unit."""


class Exposition:
    """Answers Prometheus. Each scrape queries the database."""

    def __init__(
        self,
        board: Board,
        connections: Connections,
        schema: str,
        directory: Path | None,
    ) -> None:
        """``directory`` has the workers' metrics files; None if there are none."""
        self._board = board
        self._connections = connections
        self._directory = directory
        self._health = _HEALTH.format(sql.Identifier(schema)).as_string()
        self._engine = _ENGINE.format(sql.Identifier(schema)).as_string()

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Return the body in the format that `Accept` prefers, and its content type."""
        answered, health, engines = True, [], []
        try:
            health = await self._rows(self._health)
            engines = await self._rows(self._engine)
        except (DatabaseUnavailable, Failed):
            answered = False
        registry = CollectorRegistry()
        registry.register(
            _Collected(
                [
                    *_of_database(answered, health, engines),
                    *_of_page(self._board.counts, self._connections),
                    *_of_workers(self._directory),
                ]
            )
        )
        encode, media_type = choose_encoder(accept)
        return encode(registry), media_type

    async def _rows(self, statement: str) -> list[dict[str, Any]]:
        frame, _ = await self._board.database.query(statement, 0)
        names = [column.name for column in frame.columns]
        return [dict(zip(names, row, strict=True)) for row in frame.rows]


def known() -> list[Metric]:
    """Return all metrics but the workers', for the reference documentation."""
    engine = {"engine": "", "version": ""}
    none = Counts(viewers=0, asking=0, queries=0, query_seconds=0)
    page = _of_page(none, Connections(logging.getLogger(), 0))
    return [*_of_database(True, [], [engine]), *page, *_of_workers(None)]


class _Collected(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _of_database(
    answered: bool, health: list[dict[str, Any]], engines: list[dict[str, Any]]
) -> Iterable[Metric]:
    yield GaugeMetricFamily(
        "firstclick_database_up",
        "Whether the database answers the page's queries.",
        float(answered),
    )
    for engine in engines:
        yield InfoMetricFamily(
            "firstclick_engine",
            "Which engine keeps the relations up to date.",
            {"engine": engine["engine"], "version": engine["version"]},
        )
    events = GaugeMetricFamily(
        "firstclick_events",
        "Messages of the last 48 hours, accepted or rejected.",
        labels=["topic", "outcome"],
    )
    for row in health:
        for outcome in ("accepted", "rejected"):
            events.add_metric([row["topic"], outcome], row[outcome])
    yield events
    for column, (name, meaning, unit) in _BY_TOPIC.items():
        family = GaugeMetricFamily(name, meaning, labels=["topic"])
        for row in health:
            if row[column] is not None:
                family.add_metric([row["topic"]], row[column] * unit)
        yield family


def _of_page(counts: Counts, connections: Connections) -> Iterable[Metric]:
    yield InfoMetricFamily(
        "firstclick_build",
        "The version of First Click.",
        {"version": version("firstclick")},
    )
    yield GaugeMetricFamily(
        "firstclick_page_viewers", "Viewers of the live page.", counts.viewers
    )
    yield CounterMetricFamily(
        "firstclick_page_queries", "Queries that the page has sent.", counts.queries
    )
    yield CounterMetricFamily(
        "firstclick_page_query_seconds",
        "Time that these queries took.",
        counts.query_seconds,
    )

    yield GaugeMetricFamily(
        "firstclick_page_connections",
        "Open connections to the live page.",
        connections.open,
    )
    yield CounterMetricFamily(
        "firstclick_page_turned_away",
        "Requests that the page answered with 503 because it was full.",
        connections.turned_away,
    )
    yield CounterMetricFamily(
        "firstclick_page_closed_connections",
        "Connections that the page closed because they were idle, slow or too many.",
        connections.closed.total(),
    )


def _of_workers(directory: Path | None) -> Iterable[Metric]:
    """Return the metrics in the workers' files, merged by name."""
    files = [] if directory is None else sorted(directory.glob(f"*{SUFFIX}"))
    written = GaugeMetricFamily(
        "firstclick_metrics_timestamp_seconds",
        "When the process last wrote its metrics.",
        labels=["process"],
    )
    found: dict[str, Metric] = {written.name: written}
    for file in files:
        written.add_metric([file.stem], file.stat().st_mtime)
        for family in text_string_to_metric_families(file.read_text()):
            known = found.setdefault(family.name, family)
            if known is not family:
                known.samples += family.samples
    return found.values()
