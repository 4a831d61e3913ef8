"""What the page should show: the database's answers, formatted independently."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from firstclick.dashboard.definition import (
    BarChart,
    Dashboard,
    Field,
    Panel,
    Stat,
    TimeRange,
    TimeSeries,
    statement,
)

ROWS = 240
"""The most rows that a time series' table shows."""

_BYTES = ("B", "KiB", "MiB", "GiB")


def rows(
    reader: psycopg.Connection, dashboard: Dashboard, panel: Panel, span: str
) -> list[dict[str, Any]]:
    """Run a panel's SQL and return its rows."""
    has_span = "span" in dashboard.variables
    times = TimeRange.last(
        span if has_span else dashboard.time.from_, datetime.now(UTC)
    )
    values = {"span": span} if has_span else {}
    text = statement(dashboard, panel.target.raw_sql, values, times)
    with reader.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(text.encode()).fetchall()


def shown(panel: Panel, found: list[dict[str, Any]]) -> Any:
    """Return the text that a stat should show, or the rows of the panel's table."""
    field = panel.field_config.of
    match panel:
        case Stat():
            known = [row for row in found if list(row.values())[-1] is not None]
            if not known:
                return panel.field_config.defaults.no_value
            name, value = list(known[-1].items())[-1]
            return words(value, field(name))
        case BarChart():
            x = panel.options.x_field
            names = [name for name in (found[0] if found else ()) if name != x]
            return [
                [row[x], *(words(row[name], field(name)) for name in names)]
                for row in found
            ]
        case TimeSeries():
            return _lines(panel, found)
    return [[words(row[name], field(name)) for name in row] for row in found]


def words(value: Any, field: Field) -> str:
    """Format a value by the field's unit and decimals, as Grafana does in English."""
    if value is None:
        return field.no_value if isinstance(field.no_value, str) else ""
    for mapping in field.mappings:
        if value in mapping.options:
            return mapping.options[value].text
    decimals = field.decimals if isinstance(field.decimals, int) else None
    match field.unit:
        case "dateTimeAsIso":
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        case "percentunit":
            return f"{_rounded(Decimal(value) * 100, decimals)}%"
        case "s":
            if value < 1:
                return f"{_rounded(Decimal(value) * 1000, decimals)} ms"
            return f"{_rounded(value, decimals)} s"
        case "bytes":
            power = 0
            while value >= 1024 and power < 3:
                value, power = Decimal(value) / 1024, power + 1
            return f"{_rounded(value, decimals if power else 0)} {_BYTES[power]}"
        case "none":
            return str(value)
        case "string":
            return str(value)
    return _rounded(value, decimals)


def _rounded(value: Any, decimals: int | None) -> str:
    step = Decimal(1).scaleb(-(decimals or 0))
    return f"{Decimal(value).quantize(step, ROUND_HALF_UP):,}"


def _lines(panel: TimeSeries, found: list[dict[str, Any]]) -> list[list[str]]:
    values: dict[datetime, dict[str, Any]] = {}
    for row in found:
        time, *_ = row.values()
        by_name = {row["metric"]: list(row.values())[-1]} if "metric" in row else row
        values.setdefault(time, {}).update(by_name)
    names = sorted({name for row in values.values() for name in row} - {"time"})
    if found and "metric" not in found[0]:
        names = list(found[0])[1:]
    field = panel.field_config.of
    return [
        [
            f"{time.astimezone(UTC):%Y-%m-%d %H:%M}",
            *(
                "\N{EN DASH}"
                if row.get(name) is None
                else words(row[name], field(name))
                for name in names
            ),
        ]
        for time, row in sorted(values.items(), reverse=True)
    ][:ROWS]
