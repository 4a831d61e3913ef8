"""A check that the insights of the past two days are unchanged and correct."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from benchmarks.findings import Section
from benchmarks.stage import Stage
from firstclick import oracle
from firstclick.oracle.relations import INSIGHTS
from firstclick_generator import Delivery

HOUR = timedelta(hours=1)

AGE = 4 * HOUR
"""The age from which an hour's insights no longer change: late events arrive within ten
minutes, and a connector that falls behind catches up sooner."""

MARGIN = timedelta(minutes=21)
"""How long before and after an hour the generator sends messages that affect it."""

MINUTES: LiteralString = "select * from {} where minute >= %s and minute < %s"

Rows = dict[str, set[tuple[Any, ...]]]
"""Rows by the name of the insight."""


class Insights:
    """The insights by minute of a running pipeline."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._remembered: Rows = {name: set() for name in INSIGHTS}

    def remember(self, now: datetime) -> None:
        """Remember the insights of the latest hour that is older than ``AGE``."""
        since = now - AGE - HOUR
        for name, rows in self._rows(since, since + HOUR).items():
            self._remembered[name] |= rows

    def compare(
        self,
        section: Section,
        since: datetime,
        until: datetime,
        deliveries: Iterable[Delivery],
    ) -> None:
        """Add whether the stored insights equal the remembered ones and the oracle's.

        The oracle computes the oldest hour, which expires next: its purchases need
        clicks that are older than the oldest purchase. ``deliveries`` is every message
        sent.
        """
        kept = self._rows(since, until)
        changed = sum(
            len({row for row in rows if since <= row[0] < until} - kept[name])
            for name, rows in self._remembered.items()
        )
        _add(section, "insights of 48 hours", kept)
        section.add(
            "changed since they were new",
            changed,
            "rows",
            target="none",
            met=not changed,
        )
        oldest = self._rows(since, since + HOUR)
        expected = self._expected(since, deliveries)
        wrong = sum(len(expected[name] ^ oldest[name]) for name in INSIGHTS)
        _add(section, "insights of the oldest hour", oldest)
        section.add(
            "other than the oracle's", wrong, "rows", target="none", met=not wrong
        )

    def _rows(self, since: datetime, until: datetime) -> Rows:
        return {
            name: set(
                self._stage.database.execute(
                    sql.SQL(MINUTES).format(sql.Identifier(f"minute_{name}")),
                    [since, until],
                )
            )
            for name in INSIGHTS
        }

    def _expected(self, since: datetime, deliveries: Iterable[Delivery]) -> Rows:
        until = since + HOUR
        first, last = (since - MARGIN).timestamp(), (until + MARGIN).timestamp()
        messages = [
            oracle.Message(
                topic=delivery.topic,
                partition=0,
                offset=number,
                key=delivery.key,
                value=delivery.payload,
                kafka_time=datetime.fromtimestamp(delivery.at / 1000, UTC),
            )
            for number, delivery in enumerate(deliveries)
            if first <= delivery.at / 1000 <= last
        ]
        found = oracle.relations(messages, self._reference(), until)
        return {
            name: {row for row in found[f"minute_{name}"] if since <= row[0] < until}
            for name in INSIGHTS
        }

    def _reference(self) -> oracle.Reference:
        users, products = (
            self._stage.database.cursor(row_factory=dict_row)
            .execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
            .fetchall()
            for table in ("users", "products")
        )
        return oracle.Reference.of_rows(users, products)


def _add(section: Section, what: str, rows: Rows) -> None:
    held = sum(map(len, rows.values()))
    section.add(what, held, "rows", target="some", met=held > 0)
