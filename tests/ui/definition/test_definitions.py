"""The dashboards' JSON follows Grafana's schema, and each panel is readable."""

import copy
import enum
import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models import dashboard as grafana

from firstclick.dashboard.definition import (
    DIRECTORY,
    BarChart,
    Dashboard,
    DashboardError,
    Panel,
    Stat,
    Table,
    TimeSeries,
    load,
    load_all,
)
from firstclick.dashboard.definition.model import Custom

ROW_PIXELS = 38
"""The height of a unit of Grafana's grid, with its gap."""

LAPTOP_PIXELS = 900 - 100
"""The height that Grafana's own bars leave on a laptop's screen of 900 pixels."""

SURFACES = {"light": "#FFFFFF", "dark": "#181B1F"}
"""The colour behind a panel, by theme."""

READABLE_GRAPHIC = 3.0
"""The least contrast of the graphics in a chart, by WCAG 2.2, 1.4.11."""

MISSING_SOMEWHERE = {
    "a typed literal": r"\b(timestamptz|timestamp|date|numeric)\s+'",
    "a filter of an aggregate": r"\bfilter\s*\(",
    "a type's precision": r"::\s*\w+\s*\(",
    "a pattern that ignores case": r"~\*|\bilike\b",
    "distinct on": r"\bdistinct\s+on\b",
    "a recursion": r"\brecursive\b",
    "an array": r"\barray\b|\bany\s*\(",
    "a set-returning function": r"\bgenerate_series\b",
    "a position in order by or group by": r"\bby\s+\d",
}
"""Features of PostgreSQL that Materialize or RisingWave lacks or treats differently."""

plugins.register_default_plugins()

PANELS = [
    pytest.param(dashboard, panel, id=f"{uid}-{panel.title}")
    for uid, dashboard in load_all().items()
    for panel in dashboard.panels
]
every_panel = pytest.mark.parametrize(("dashboard", "panel"), PANELS)


def round_trip(data: dict[str, Any]) -> Any:
    model = grafana.Dashboard.from_json(data)
    return json.loads(json.dumps(model, cls=encoder.JSONEncoder))


def lost(before: Any, after: Any, at: str = "$") -> Iterator[str]:
    """Yield the places that Grafana's own models drop or change.

    They may add defaults.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                yield f"{at}.{key}"
            else:
                yield from lost(value, after[key], f"{at}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        assert len(before) == len(after), at
        for index, (value, kept) in enumerate(zip(before, after, strict=True)):
            yield from lost(value, kept, f"{at}[{index}]")
    elif before != after:
        yield at


def unheard_of(model: Any, at: str = "$") -> Iterator[str]:
    """Yield the values that Grafana's enumerations don't list."""
    if isinstance(model, list):
        for index, value in enumerate(model):
            yield from unheard_of(value, f"{at}[{index}]")
    if not hasattr(model, "to_json"):
        return
    hints = typing.get_type_hints(type(model))
    for name, value in vars(model).items():
        for hint in typing.get_args(hints.get(name)) or (hints.get(name),):
            if isinstance(hint, enum.EnumType) and value is not None:
                try:
                    hint(value)
                except ValueError:
                    yield f"{at}.{name}: {value}"
        yield from unheard_of(value, f"{at}.{name}")


def overrides_as_defaults(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the dashboard once for each override, with its properties as defaults.

    Grafana's models check the values of defaults, but not those of overrides.
    """
    for index, panel in enumerate(data["panels"]):
        for override in panel["fieldConfig"]["overrides"]:
            changed = copy.deepcopy(data)
            for change in override["properties"]:
                into = changed["panels"][index]["fieldConfig"]["defaults"]
                *parents, name = change["id"].split(".")
                for parent in parents:
                    into = into.setdefault(parent, {})
                into[name] = change["value"]
            yield changed


def test_grafanas_own_models_know_everything_in_them(
    files: dict[str, dict[str, Any]],
) -> None:
    for data in files.values():
        assert data["schemaVersion"] == grafana.Dashboard().schema_version
        for variant in (data, *overrides_as_defaults(data)):
            assert list(lost(variant, round_trip(variant))) == []
            assert list(unheard_of(grafana.Dashboard.from_json(variant))) == []


def test_a_value_that_grafana_does_not_know_is_found(
    files: dict[str, dict[str, Any]],
) -> None:
    data = copy.deepcopy(files["firstclick-insights"])
    data["panels"][0]["options"]["colorMode"] = "loud"
    data["panels"][0]["options"]["volume"] = 11
    assert list(lost(data, round_trip(data))) == ["$.panels[0].options.volume"]
    assert list(unheard_of(grafana.Dashboard.from_json(data))) == [
        "$.panels[0].options.color_mode: loud"
    ]


def test_there_are_two_with_fixed_uids(dashboards: dict[str, Dashboard]) -> None:
    assert list(dashboards) == ["firstclick-insights", "firstclick-pipeline"]
    assert set(dashboards["firstclick-insights"].variables) == {"schema", "span"}
    assert set(dashboards["firstclick-pipeline"].variables) == {"schema"}


def edited(path: Path, **places: Any) -> Path:
    """Save the insights dashboard with some values replaced.

    For example, ``panels__0__type="stat"`` sets the type of the first panel.
    """
    data = json.loads((DIRECTORY / "insights.json").read_text())
    for place, value in places.items():
        into: Any = data
        *parents, last = (int(k) if k.isdigit() else k for k in place.split("__"))
        for key in parents:
            into = into[key]
        into[last] = value
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"panels__0__type": "piechart"}, r"'piechart' - at `\$.panels\[0\].type`"),
        ({"panels__0__options__volume": 11}, r"unknown field `volume`"),
        ({"panels__0__fieldConfig__defaults__unit": "furlong"}, "'furlong'"),
        ({"panels__0__transformations": []}, "unknown field `transformations`"),
        ({"panels__0__description": ""}, "length >= 1"),
        ({"panels__4__fieldConfig__overrides__0__properties__0__id": "shape"}, "shape"),
        ({"panels__4__fieldConfig__overrides__0__properties__0__value": 3}, "Expected"),
        ({"panels__1__gridPos__x": 5}, "'Revenue' and 'Profit' overlap"),
        ({"panels__1__gridPos__x": 20}, "'Profit' ends beyond the grid's 24 columns"),
        ({"panels__1__id": 1}, "'Revenue' and 'Profit' have the same id 1"),
        ({"templating__list__1__multi": True}, "Invalid enum value True"),
        ({"panels__0__targets__0__datasource__uid": "other"}, "'other'"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_error(
    tmp_path: Path, places: dict[str, Any], message: str
) -> None:
    path = edited(tmp_path / "edited.json", **places)
    with pytest.raises(DashboardError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[]", b"{}"])
def test_what_is_no_dashboard_is_one_clear_error(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "none.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DashboardError, match="is no dashboard that can be drawn"):
        load(path)


@every_panel
def test_a_panel_says_what_it_shows(dashboard: Dashboard, panel: Panel) -> None:
    assert re.fullmatch(r"[A-Z][a-z]+( [a-z]+)*", panel.title), "sentence case"
    assert len(panel.title) <= 30
    assert panel.description.endswith(".")
    assert panel.field_config.defaults.unit
    assert panel.field_config.defaults.no_value, "what an empty panel says"
    if isinstance(panel, BarChart | TimeSeries):
        assert panel.options.tooltip.mode == "multi"
        several = isinstance(panel, TimeSeries) or len(panel.field_config.overrides) > 1
        assert panel.options.legend.show_legend == several


@every_panel
def test_a_query_is_one_statement_that_every_engine_understands(
    dashboard: Dashboard, panel: Panel
) -> None:
    sql = panel.target.raw_sql
    assert ";" not in sql
    for what, pattern in MISSING_SOMEWHERE.items():
        assert not re.search(pattern, sql, re.IGNORECASE), what
    tables = set(re.findall(r"(?:from|join) ([^\s)]+)", sql))
    named = set(re.findall(r"(\w+) as \(", sql)) | {"("}
    assert all(table.startswith("${schema}.") for table in tables - named), tables
    assert "rejected_events" not in sql, "keys and payloads are personal"
    if not isinstance(panel, Stat) or "union all" in sql:
        assert re.search(r"\norder by .*(\nlimit \d+)?$", sql), "in order"
    if isinstance(panel, TimeSeries):
        assert "$__timeFilter(minute)" in sql
        assert panel.target.format == "time_series"
    else:
        assert panel.target.format == "table"


def test_every_variable_is_used_and_defined(dashboards: dict[str, Dashboard]) -> None:
    for dashboard in dashboards.values():
        used = {
            name
            for panel in dashboard.panels
            for name in re.findall(r"\$\{?(?!__)(\w+)", panel.target.raw_sql)
        }
        assert used == set(dashboard.variables)


def test_the_list_to_choose_from_is_grafanas_text_of_it(
    dashboards: dict[str, Dashboard],
) -> None:
    span = dashboards["firstclick-insights"].variables["span"]
    assert isinstance(span, Custom)
    options = [f"{option.text} : {option.value}" for option in span.options]
    assert span.query == ", ".join(options)


def test_which_source_earns_is_seen_without_scrolling(
    dashboards: dict[str, Dashboard],
) -> None:
    top = {
        panel.title
        for panel in dashboards["firstclick-insights"].panels
        if (panel.grid_pos.y + panel.grid_pos.h) * ROW_PIXELS <= LAPTOP_PIXELS
    }
    assert {
        "Revenue",
        "Profit",
        "Checkouts",
        "Attributed share",
        "Revenue and profit by source",
        "Advertisement or not",
        "Profit by source and minute",
    } <= top


def colours(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every colour in the JSON, with the name of what it colours, if any."""
    if isinstance(value, list):
        for item in value:
            yield from colours(item, name)
    if not isinstance(value, dict):
        return
    if "matcher" in value:
        name = value["matcher"]["options"]
    for key, item in value.items():
        if key in ("color", "fixedColor") and isinstance(item, str):
            yield name, item
        else:
            yield from colours(item, key if isinstance(item, dict) else name)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_colours_are_seen_on_light_and_on_dark(
    files: dict[str, dict[str, Any]],
) -> None:
    found = {colour for data in files.values() for _, colour in colours(data)}
    assert found
    for colour in found:
        for theme, surface in SURFACES.items():
            assert contrast(colour, surface) >= READABLE_GRAPHIC, (colour, theme)


def test_a_source_has_one_colour_everywhere(files: dict[str, dict[str, Any]]) -> None:
    named: dict[str, set[str]] = {}
    for name, colour in colours(files["firstclick-insights"]):
        named.setdefault(name, set()).add(colour)
    sources = ("Facebook", "Google", "Tiktok", "Twitter", "Youtube", "Gmail", "Unknown")
    assert all(len(named[source]) == 1 for source in sources)
    assert len({named[source].pop() for source in sources}) == len(sources)


def test_a_table_shows_no_column_by_its_name_in_sql(
    dashboards: dict[str, Dashboard],
) -> None:
    for dashboard in dashboards.values():
        for panel in dashboard.panels:
            if isinstance(panel, Table):
                for override in panel.field_config.overrides:
                    column = override.matcher.options
                    assert panel.field_config.of(column).display_name, column
