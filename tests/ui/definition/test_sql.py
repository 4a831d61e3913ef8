"""Variables and macros are replaced as Grafana replaces them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstclick.dashboard.definition import (
    Dashboard,
    DashboardError,
    TimeRange,
    duration,
    expand_macros,
    load_all,
    statement,
)
from firstclick.dashboard.definition.model import Custom

INSIGHTS = load_all()["firstclick-insights"]
TIMES = TimeRange(
    datetime(2026, 11, 24, 10, 0, 0, 120_000, UTC),
    datetime(2026, 11, 24, 12, 0, tzinfo=timezone(timedelta(hours=1))),
)
FROM, TO = "'2026-11-24T10:00:00.12Z'", "'2026-11-24T11:00:00Z'"


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("$__timeFilter(minute)", f"minute BETWEEN {FROM} AND {TO}"),
        ("$__timeFilter( minute )", f"minute BETWEEN {FROM} AND {TO}"),
        ("$__timeFilter(a, b)", f"a BETWEEN {FROM} AND {TO}"),
        # As in Grafana, a macro ends at the first closing parenthesis, nested or not
        ("$__timeFilter(f(a))", f"f(a BETWEEN {FROM} AND {TO})"),
        ("a > $__timeFrom() and a < $__timeTo()", f"a > {FROM} and a < {TO}"),
        ("$__timeGroup(a,'1m')", "floor(extract(epoch from a)/60)*60"),
        ("$__timeGroup(a, '1h') ,b", "floor(extract(epoch from a)/3600)*3600 ,b"),
        ("$__timeGroup(a,'5m'),b", 'floor(extract(epoch from a)/300)*300 AS "time",b'),
        ("$__timeGroupAlias(a, 30s)", 'floor(extract(epoch from a)/30)*30 AS "time"'),
        ("$__timeGroup", "$__timeGroup"),
        ("'$5' || now()", "'$5' || now()"),
    ],
)
def test_a_macro_becomes_what_grafana_makes_of_it(sql: str, expanded: str) -> None:
    assert expand_macros(sql, TIMES) == expanded


@pytest.mark.parametrize(
    "sql",
    ["$__unixEpochFilter(a)", "$__timeGroup(a)", "$__timeGroup(a,'1m',0)", "$f(1)"],
)
def test_a_macro_that_nobody_draws_is_an_error(sql: str) -> None:
    with pytest.raises(DashboardError, match="expected"):
        expand_macros(sql, TIMES)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("1 hour", 3600),
        ("48 hours", 172_800),
        ("2d", 172_800),
        ("1w", 604_800),
    ],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "1 month", "-1h", "1h ", "now/d"])
def test_what_is_no_duration_is_an_error(text: str) -> None:
    with pytest.raises(DashboardError, match="expected a number"):
        TimeRange.last(text, datetime.now(UTC))


def test_a_time_range_ends_now() -> None:
    now = datetime.now(UTC)
    assert TimeRange.last("now-6h", now) == TimeRange(now - timedelta(hours=6), now)


def fill(sql: str, **values: str) -> str:
    return statement(INSIGHTS, sql, values, TIMES)


def test_variables_have_the_values_of_the_json_unless_others_are_given() -> None:
    sql = "select '$span' from ${schema}.x where a = '${span}' and $__timeFilter(b)"
    filter_ = f"b BETWEEN {FROM} AND {TO}"
    assert fill(sql) == (
        f"select '1 hour' from firstclick.x where a = '1 hour' and {filter_}"
    )
    assert fill(sql, span="6 hours", schema="shop_2") == (
        f"select '6 hours' from shop_2.x where a = '6 hours' and {filter_}"
    )


def test_a_variable_that_is_not_defined_is_an_error() -> None:
    with pytest.raises(DashboardError, match="no variable 'sourc'"):
        fill("select '$sourc'")
    with pytest.raises(DashboardError, match="no variable 'sourc'"):
        fill("select 1", sourc="Google")


SPAN = INSIGHTS.variables["span"]
assert isinstance(SPAN, Custom)
OFFERED = {option.value for option in SPAN.options}


@settings(deadline=None)
@given(st.text() | st.sampled_from(sorted(OFFERED)).map(lambda text: text + "' or '"))
def test_no_value_but_those_offered_gets_into_sql(value: str) -> None:
    if value in OFFERED:
        return
    with pytest.raises(DashboardError, match="expected 1 hour, 6 hours"):
        fill("select '$span'", span=value)


@settings(deadline=None)
@given(st.text())
def test_a_schema_is_a_plain_name(value: str) -> None:
    try:
        sql = fill("select 1 from ${schema}.x", schema=value)
    except DashboardError:
        return
    assert sql == f"select 1 from {value}.x"
    assert value.isascii() and value.replace("_", "a").isalnum()
    assert value == value.lower() and not value[0].isdigit()


def test_a_value_is_not_expanded_again() -> None:
    # With this schema, a second pass would replace the variable in its name
    dashboard: Dashboard = load_all()["firstclick-insights"]
    with pytest.raises(DashboardError, match="is '\\$span', expected"):
        statement(dashboard, "${schema}", {"schema": "$span"}, TIMES)
