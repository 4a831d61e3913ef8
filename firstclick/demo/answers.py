"""Query the insights of the last hour."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row

T = TypeVar("T")

MINUTES = 60


@dataclass(frozen=True, slots=True)
class Source:
    """A row of `last_hour_sources`."""

    source: str
    is_advertisement: bool
    checkouts: int
    revenue: Decimal
    profit: Decimal


@dataclass(frozen=True, slots=True)
class Revenue:
    """The row of `last_hour_revenue`."""

    checkouts: int
    revenue: Decimal
    profit: Decimal
    attributed_checkouts: int


@dataclass(frozen=True, slots=True)
class Share:
    """A category, failure reason or gender with its revenue or number of checkouts."""

    name: str
    amount: Decimal | int


@dataclass(frozen=True, slots=True)
class Taken:
    """The number of accepted and rejected events, and the time of the query."""

    now: datetime
    accepted: int
    rejected: int


@dataclass(frozen=True)
class Answers:
    """The five insights, each sorted by size, and how many events were taken in.

    ``minutes`` has the revenue of each of the last 60 minutes, the current one last.
    """

    revenue: Revenue
    sources: list[Source]
    categories: list[Share]
    failures: list[Share]
    genders: list[Share]
    minutes: list[Decimal]
    accepted: int
    rejected: int


def ask(connection: psycopg.Connection[Any]) -> Answers:
    """Query everything as of one moment. Raises psycopg.Error.

    The connection must be in autocommit mode and have the schema in its search_path.
    """

    def rows(kind: type[T], query: str) -> list[T]:
        with connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(sql.SQL(query)).fetchall()

    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        taken = rows(
            Taken,
            "select now(), sum(accepted)::bigint as accepted,"
            " sum(rejected)::bigint as rejected from pipeline_health",
        )[0]
        revenue = rows(
            Revenue,
            "select checkouts, revenue, profit, attributed_checkouts"
            " from last_hour_revenue",
        )
        return Answers(
            revenue[0],
            rows(
                Source,
                "select source, is_advertisement, checkouts, revenue, profit"
                " from last_hour_sources order by revenue desc, source",
            ),
            rows(
                Share,
                "select category as name, revenue as amount"
                " from last_hour_categories order by 2 desc, 1",
            ),
            rows(
                Share,
                "select failure_reason as name, checkouts as amount"
                " from last_hour_payment_failures order by 2 desc, 1",
            ),
            rows(
                Share,
                "select gender as name, checkouts as amount"
                " from last_hour_genders order by 2 desc, 1",
            ),
            _minutes(connection, taken.now),
            taken.accepted,
            taken.rejected,
        )


def _minutes(connection: psycopg.Connection[Any], now: datetime) -> list[Decimal]:
    found: dict[datetime, Decimal] = dict(
        connection.execute(
            "select minute, revenue from minute_revenue"
            " where minute > now() - interval '1 hour' and minute <= now()"
        ).fetchall()
    )
    by_minute = {minute.astimezone(UTC): amount for minute, amount in found.items()}
    latest = now.astimezone(UTC).replace(second=0, microsecond=0)
    return [
        by_minute.get(latest - timedelta(minutes=ago), Decimal(0))
        for ago in reversed(range(MINUTES))
    ]
