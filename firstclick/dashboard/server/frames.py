"""Query results in the form in which they are sent to browsers."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec
import psycopg

Kind = Literal["number", "text", "time"]

_NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8", "oid", "interval")
_TIMES = ("timestamptz", "timestamp", "date")


class Column(msgspec.Struct, frozen=True):
    name: str
    kind: Kind


@dataclass(frozen=True)
class Frame:
    """Columns and rows of plain values.

    Decimals become floats, as in Grafana; times become milliseconds since 1970.
    """

    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]


def read(cursor: psycopg.AsyncCursor[Any], rows: list[tuple[Any, ...]]) -> Frame:
    """Return the rows that a cursor fetched as a frame."""
    types = cursor.connection.adapters.types
    columns = []
    for column in cursor.description or ():
        known = types.get(column.type_code)
        name = "text" if known is None else known.name
        kind: Kind = "text"
        if name in _NUMBERS:
            kind = "number"
        elif name in _TIMES:
            kind = "time"
        columns.append(Column(column.name, kind))
    return Frame(
        tuple(columns), [tuple(_plain(value) for value in row) for row in rows]
    )


def _plain(value: Any) -> Any:
    match value:
        case None | str() | int() | float():
            return value
        case Decimal():
            return float(value)
        case datetime():
            zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
            return round(zoned.timestamp() * 1000)
        case date():
            return _plain(datetime.combine(value, datetime.min.time()))
        case timedelta():
            return value.total_seconds()
    return str(value)
