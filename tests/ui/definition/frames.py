"""Query results in the form of data frames that Grafana's PostgreSQL source makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg

from firstclick.dashboard.definition import Dashboard, Panel, TimeRange, statement

Kind = Literal["number", "text", "time", "other"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "float4", "float8"), "number"),
    **dict.fromkeys(("text", "varchar", "name"), "text"),
    **dict.fromkeys(("timestamp", "timestamptz", "date"), "time"),
}


@dataclass(frozen=True)
class Frame:
    kinds: dict[str, Kind]
    """The kind of each column, by name and in order."""
    rows: list[tuple[Any, ...]]

    def of_kind(self, kind: Kind) -> list[str]:
        return [name for name, found in self.kinds.items() if found == kind]

    def column(self, name: str) -> list[Any]:
        index = list(self.kinds).index(name)
        return [row[index] for row in self.rows]

    def by_name(self) -> list[dict[str, Any]]:
        return [dict(zip(self.kinds, row, strict=True)) for row in self.rows]


def ask(connection: psycopg.Connection, sql: str) -> Frame:
    """Return the frame of one statement; a second one in the text is an error."""
    cursor = connection.execute(sql.encode(), prepare=True)
    assert cursor.description is not None
    kinds = {
        column.name: _KINDS.get(column.type_display, "other")
        for column in cursor.description
    }
    assert len(kinds) == len(cursor.description), "two columns have the same name"
    return Frame(kinds, cursor.fetchall())


def ask_panel(
    connection: psycopg.Connection,
    dashboard: Dashboard,
    panel: Panel,
    values: Mapping[str, str],
) -> Frame:
    """Return a panel's frame over the span, or else the dashboard's time range."""
    span = values.get("span", dashboard.time.from_)
    times = TimeRange.last(span, datetime.now(UTC))
    sql = statement(dashboard, panel.target.raw_sql, values, times)
    return ask(connection, sql)
