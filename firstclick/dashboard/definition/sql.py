"""Turn a panel's SQL into the statement that Grafana would send.

Grafana's page replaces variables, then its PostgreSQL data source replaces macros
(pkg/tsdb/grafana-postgresql-datasource/macros.go). A macro is `$name(` up to the next
closing parenthesis; its arguments are split at commas.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from firstclick.dashboard.definition.errors import DashboardError
from firstclick.dashboard.definition.model import Constant, Custom, Dashboard

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(?!__)(\w+)\b(?!\())")
"""`$name` or `${name}`, but no macro: those begin with `$__` or have parentheses."""
_MACRO = re.compile(r"\$(\w+)\(([^)]*)\)")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_AMOUNT = re.compile(r"(\d+) ?(s|m|h|d|w|second|minute|hour|day|week)s?")
"""A number and a unit, for example `5m`, `6 hours` or `1 day`."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
"""The seconds of a unit, by its first letter."""


@dataclass(frozen=True)
class TimeRange:
    """The times, with time zones, that `$__timeFilter` accepts; both ends are
    included.
    """

    start: datetime
    end: datetime

    @classmethod
    def last(cls, length: str, now: datetime) -> "TimeRange":
        """Return the range of this length that ends now.

        ``length`` is, for example, `1h`, `6 hours` or a dashboard's `now-1h`. Raises
        DashboardError.
        """
        return cls(now - duration(length.removeprefix("now-")), now)


def duration(text: str) -> timedelta:
    """Parse a duration such as `5m`, `6 hours` or `1d`. Raises DashboardError."""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise DashboardError(
            f"the duration is {text!r}, expected a number and s, m, h, d or w: correct "
            "it in the dashboard"
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2][0]])


def statement(
    dashboard: Dashboard, sql: str, values: Mapping[str, str], times: TimeRange
) -> str:
    """Return the statement of a panel's SQL.

    ``values`` sets the dashboard's variables; those that are missing have their value
    from the JSON. Raises DashboardError for a variable that the dashboard doesn't have,
    a value that it doesn't offer, a schema that is not a plain identifier, or an
    unknown macro.
    """
    for name in values.keys() - dashboard.variables.keys():
        raise DashboardError(_no_variable(dashboard, name))
    chosen = {
        name: _value(variable, values.get(name))
        for name, variable in dashboard.variables.items()
    }

    def replaced(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in chosen:
            raise DashboardError(_no_variable(dashboard, name))
        return chosen[name]

    return expand_macros(_VARIABLE.sub(replaced, sql), times)


def expand_macros(sql: str, times: TimeRange) -> str:
    """Return SQL with Grafana's macros replaced. Raises DashboardError."""
    start, end = _quoted(times.start), _quoted(times.end)

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        arguments = [argument.strip(" ") for argument in match[2].split(",")]
        if name == "__timeFrom":
            return start
        if name == "__timeTo":
            return end
        if name == "__timeFilter":
            return f"{arguments[0]} BETWEEN {start} AND {end}"
        if name in ("__timeGroup", "__timeGroupAlias") and len(arguments) == 2:
            seconds = f"{duration(arguments[1].strip(chr(39))).total_seconds():g}"
            group = f"floor(extract(epoch from {arguments[0]})/{seconds})*{seconds}"
            alias = name == "__timeGroupAlias" or sql[match.end() :].startswith(",")
            return f'{group} AS "time"' if alias else group
        raise DashboardError(
            f"the SQL has the macro {match[0]}, expected $__timeFilter(column), "
            "$__timeFrom(), $__timeTo(), $__timeGroup(column, interval) or "
            "$__timeGroupAlias(column, interval): correct it in the dashboard"
        )

    return _MACRO.sub(replaced, sql)


def _value(variable: Constant | Custom, value: str | None) -> str:
    if isinstance(variable, Constant):
        value = variable.query if value is None else value
        if not _IDENTIFIER.fullmatch(value):
            raise DashboardError(
                f"{variable.name} is {value!r}, expected a schema's name in lower-case "
                "letters, digits and underscores: correct it"
            )
        return value
    value = variable.current.value if value is None else value
    offered = [option.value for option in variable.options]
    if value not in offered:
        raise DashboardError(
            f"{variable.name} is {value!r}, expected {', '.join(offered)}: choose one"
        )
    return value


def _quoted(time: datetime) -> str:
    # As Go's RFC3339Nano, which omits trailing zeros of the fraction
    fraction = f".{time.microsecond:06}".rstrip("0").rstrip(".")
    return f"'{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z'"


def _no_variable(dashboard: Dashboard, name: str) -> str:
    return (
        f"{dashboard.uid} has no variable {name!r}, expected one of "
        f"{', '.join(dashboard.variables)}: correct it"
    )
