"""Every panel's query works on a running shop and on one without any events."""

import itertools
import re
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from frames import Frame, ask_panel
from psycopg import sql
from twin import Twin

from firstclick.core.pipeline import Pipeline
from firstclick.dashboard.definition import (
    BarChart,
    Dashboard,
    Panel,
    Stat,
    Table,
    TimeSeries,
    load_all,
)

SPANS = ("1 hour", "6 hours", "24 hours", "48 hours")
CASES = [
    pytest.param(
        dashboard, panel, {"span": span} if span else {}, id=f"{panel.title}-{span}"
    )
    for dashboard in load_all().values()
    for panel in dashboard.panels
    for span in (SPANS if "span" in dashboard.variables else ("",))
]
every_panel = pytest.mark.parametrize(("dashboard", "panel", "values"), CASES)
Values = dict[str, str]


def assert_drawable(panel: Panel, frame: Frame) -> None:
    """Assert that the frame has the columns that the panel's type needs."""
    assert "other" not in frame.kinds.values(), frame.kinds
    numbers, texts = frame.of_kind("number"), frame.of_kind("text")
    times = frame.of_kind("time")
    match panel:
        case Stat():
            pattern = panel.options.reduce_options.fields.strip("/")
            if pattern:
                assert [name for name in texts if re.search(pattern, name)]
                assert not numbers and not times
            else:
                assert len(numbers) == 1 and not texts
            if panel.options.show_percent_change:
                assert times == ["time"]
        case BarChart():
            assert next(iter(frame.kinds)) == panel.options.x_field
            assert texts == [panel.options.x_field] and numbers and not times
            names = frame.column(panel.options.x_field)
            assert len(set(names)) == len(names)
        case TimeSeries():
            assert next(iter(frame.kinds)) == "time" == "".join(times)
            assert texts in ([], ["metric"]) and numbers
            assert len(numbers) == 1 or not texts
            moments = frame.column("time")
            assert moments == sorted(moments)
            assert len({row[: 1 + len(texts)] for row in frame.rows}) == len(frame.rows)
        case Table():
            assert len(frame.rows) <= 100
    if not isinstance(panel, TimeSeries) or not texts:
        shown = {override.matcher.options for override in panel.field_config.overrides}
        assert shown <= set(frame.kinds)
    if isinstance(panel, Table):
        assert shown == set(frame.kinds)
        for name, kind in frame.kinds.items():
            unit = panel.field_config.of(name).unit
            assert (kind == "time") == (unit == "dateTimeAsIso")
            assert (kind == "text") == (unit == "string")


@every_panel
def test_a_panel_of_a_shop_at_work_has_something_to_draw(
    reader: psycopg.Connection, dashboard: Dashboard, panel: Panel, values: Values
) -> None:
    frame = ask_panel(reader, dashboard, panel, values)
    assert_drawable(panel, frame)
    if isinstance(panel, TimeSeries) and "minute_messages" in panel.target.raw_sql:
        # It shows whole minutes of Kafka's time, and none may have passed yet
        return
    assert frame.rows
    last = frame.rows[-1]
    if isinstance(panel, Stat):
        assert last[-1] is not None
        assert len(frame.rows) == 1 + panel.options.show_percent_change
    if isinstance(panel, BarChart):
        assert all(value >= 0 for row in frame.rows for value in row[1:])


@every_panel
def test_an_empty_shop_is_no_error(
    reader: psycopg.Connection,
    twin: Twin,
    dashboard: Dashboard,
    panel: Panel,
    values: Values,
) -> None:
    frame = ask_panel(reader, dashboard, panel, values | {"schema": twin.schema})
    assert_drawable(panel, frame)
    if panel.title in ("Engine", "Relations"):
        assert frame.rows
    elif isinstance(panel, Stat):
        assert {
            value for name in frame.of_kind("number") for value in frame.column(name)
        } <= {None, 0}
    else:
        assert frame.rows == []


def panel_of(title: str) -> tuple[Dashboard, Panel]:
    [found] = [
        (dashboard, panel)
        for dashboard in load_all().values()
        for panel in dashboard.panels
        if panel.title == title
    ]
    return found


def answers(
    connection: psycopg.Connection, title: str, **values: str
) -> list[dict[str, Any]]:
    return ask_panel(connection, *panel_of(title), values).by_name()


MONEY = ("revenue", "profit")


@pytest.mark.parametrize("span", SPANS)
def test_panels_agree_with_each_other(shop: Pipeline, span: str) -> None:
    with psycopg.connect(shop.reader_url) as reader:
        # One transaction, so that all panels see one snapshot and one now()
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        totals = {
            name: answers(reader, name.capitalize(), span=span)[-1][name]
            for name in (*MONEY, "checkouts")
        }
        origins = answers(reader, "Advertisement or not", span=span)
        sources = answers(reader, "Revenue and profit by source", span=span)
        categories = answers(reader, "Revenue by category", span=span)
        genders = answers(reader, "Checkouts by gender", span=span)
        failures = answers(reader, "Payment failures", span=span)
        [attributed] = [answers(reader, "Attributed share", span=span)[-1]["share"]]
    for money in MONEY:
        assert sum(row[money] for row in origins) == totals[money] > 0
        clicked = sum(row[money] for row in origins if row["origin"] != "No click")
        assert sum(row[money] for row in sources) == clicked
    assert sum(row["revenue"] for row in categories) == totals["revenue"]
    assert sum(row["checkouts"] for row in genders) == totals["checkouts"]
    failed = sum(row["failed"] for row in failures)
    share = sum(row["share"] for row in failures)
    assert share == pytest.approx(failed / (failed + totals["checkouts"]))
    assert 0 < attributed < 1


def test_the_last_hour_is_the_one_of_the_views(shop: Pipeline) -> None:
    with psycopg.connect(shop.reader_url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        [view] = reader.execute(
            "select checkouts, revenue, profit from firstclick.last_hour_revenue"
        ).fetchall()
        shown = tuple(
            answers(reader, title)[-1][title.lower()]
            for title in ("Checkouts", "Revenue", "Profit")
        )
        sources = reader.execute(
            "select source, revenue, profit from firstclick.last_hour_sources"
        ).fetchall()
        bars = answers(reader, "Revenue and profit by source")
    assert shown == view
    assert {tuple(row.values()) for row in bars} == set(sources)
    profits = [row["profit"] for row in bars if row["source"] != "Unknown"]
    assert profits == sorted(profits, reverse=True)
    assert bars[-1]["source"] == "Unknown"


NOW = sql.SQL("date_trunc('minute', now())")
HOSTILE = [
    "<script>alert(1)</script>",
    "'; drop schema firstclick cascade; --",
    "${schema}",
    "$span",
    "$__timeFilter(minute)",
    "a\nb\tc",
    "\u202eelgoog",
    "{{ .Values }}",
]


def source_row(source: str, profit: int, minutes_ago: int = 1) -> dict[str, Any]:
    minute = sql.SQL("{} - interval '1 minute' * {}").format(
        NOW, sql.Literal(minutes_ago)
    )
    return {
        "minute": minute,
        "source": source,
        "is_advertisement": source != "Unknown",
        "checkouts": 1,
        "revenue": 10 * profit,
        "profit": profit,
    }


def test_a_source_is_text_whatever_it_is_named(
    reader: psycopg.Connection, twin: Twin
) -> None:
    twin.insert(
        "minute_sources",
        [source_row(name, profit) for profit, name in enumerate(HOSTILE, start=1)],
    )
    values = {"schema": twin.schema, "span": "6 hours"}
    bars = answers(reader, "Revenue and profit by source", **values)
    lines = answers(reader, "Profit by source and minute", **values)
    assert [row["source"] for row in bars] == HOSTILE[::-1]
    assert sorted(row["metric"] for row in lines) == sorted(HOSTILE)


def test_any_number_of_sources_is_a_few_bars_and_lines(
    reader: psycopg.Connection, twin: Twin
) -> None:
    twin.insert("minute_sources", [source_row(f"s{n}", n) for n in range(30)])
    values = {"schema": twin.schema, "span": "6 hours"}
    bars = answers(reader, "Revenue and profit by source", **values)
    lines = answers(reader, "Profit by source and minute", **values)
    best = [f"s{n}" for n in range(29, 17, -1)]
    assert [row["source"] for row in bars] == best
    assert {row["metric"] for row in lines} == set(best)


def revenue_row(minutes_ago: int, revenue: int) -> dict[str, Any]:
    return {
        "minute": sql.SQL("{} - interval '1 minute' * {}").format(
            NOW, sql.Literal(minutes_ago)
        ),
        "checkouts": 2,
        "units": 2,
        "revenue": revenue,
        "profit": revenue / 10,
        "attributed_checkouts": 1,
        "attributed_revenue": revenue / 2,
        "attributed_profit": revenue / 20,
    }


def test_a_span_is_compared_with_the_one_before(
    reader: psycopg.Connection, twin: Twin
) -> None:
    hours_ago = {1: 100, 5: 40, 7: 35, 11: 5, 13: 1000}
    twin.insert(
        "minute_revenue",
        [revenue_row(60 * hours, revenue) for hours, revenue in hours_ago.items()],
    )
    rows = answers(reader, "Revenue", schema=twin.schema, span="6 hours")
    assert [row["revenue"] for row in rows] == [40, 140]
    assert rows[0]["time"] < rows[1]["time"]
    share = answers(reader, "Attributed share", schema=twin.schema, span="6 hours")
    assert [row["share"] for row in share] == [Decimal("0.5")] * 2


def test_lines_have_whole_minutes_alone(reader: psycopg.Connection, twin: Twin) -> None:
    twin.insert("minute_revenue", [revenue_row(n, 1) for n in range(4)])
    twin.insert("minute_sources", [source_row("Google", 1, n) for n in range(4)])
    for topic, reason in itertools.product(("clicks", "purchases"), (None, "no key")):
        twin.insert(
            "minute_messages",
            [
                {
                    "minute": revenue_row(n, 1)["minute"],
                    "topic": topic,
                    "reason": reason,
                    "messages": 5,
                }
                for n in range(4)
            ],
        )
    for dashboard in load_all().values():
        for panel in dashboard.panels:
            if isinstance(panel, TimeSeries):
                frame = ask_panel(reader, dashboard, panel, {"schema": twin.schema})
                assert len(set(frame.column("time"))) == 3, panel.title
    [rate] = answers(reader, "Accepted a second", schema=twin.schema)
    assert rate["accepted"] == pytest.approx(Decimal(10) / 60)
    [share] = answers(reader, "Rejected share", schema=twin.schema)
    assert share["rejected"] == Decimal("0.5")


def test_the_latest_come_first(reader: psycopg.Connection) -> None:
    for title, column in (
        ("Latest checkouts", "purchase_time"),
        ("Latest rejections", "kafka_time"),
    ):
        times = [row[column] for row in answers(reader, title)]
        assert times == sorted(times, reverse=True) and len(times) == 20
