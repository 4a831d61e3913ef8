"""The page in a real browser shows what the database answers."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import psycopg
import pytest
from browsing import Site, Visit
from expectation import rows, shown
from playwright.sync_api import Dialog, Page, expect

from firstclick.dashboard.definition import Dashboard, Panel, Stat, load_all
from firstclick_generator import Click, Purchase
from harness import Harness
from worker_world import eventually

INSIGHTS, PIPELINE = load_all().values()
SIZES = [(390, 844), (820, 1180), (1440, 900), (2560, 1440)]
Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def reader(pipeline: Harness) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pipeline.stack.reader_url, autocommit=True) as connection:
        yield connection


def shows(visit: Visit, panel: Panel, expected: Any) -> bool:
    value, _, empty, error, cells = visit.shown[panel.id]
    if isinstance(panel, Stat):
        return bool(value == expected)
    if not expected:
        return bool(empty == panel.field_config.defaults.no_value)
    return bool(cells == expected and error is None)


def shows_the_databases(
    visit: Visit,
    reader: psycopg.Connection,
    dashboard: Dashboard,
    panel: Panel,
    span: str,
) -> bool:
    return shows(visit, panel, shown(panel, rows(reader, dashboard, panel, span)))


@pytest.mark.parametrize(
    ("dashboard", "span"),
    [(INSIGHTS, "1 hour"), (INSIGHTS, "48 hours"), (PIPELINE, "")],
    ids=["insights-1-hour", "insights-48-hours", "pipeline"],
)
def test_every_panel_shows_what_its_query_returns(
    visit: Open, reader: psycopg.Connection, dashboard: Dashboard, span: str
) -> None:
    page = visit(f"/d/{dashboard.uid}?var-span={span or '1 hour'}").filled()
    for panel in dashboard.panels:
        # Freshness differs at each moment, so the page's can't equal ours
        if panel.title != "Freshness":
            eventually(
                partial(shows_the_databases, page, reader, dashboard, panel, span),
                f"{panel.title} shows the database's values",
            )


def sold(pipeline: Harness, source: str, user: int) -> None:
    """Send a click from a source, and a purchase by the same user."""
    ((time, user_id, product_id),) = pipeline.query(
        "select to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
        " (select user_id from users order by user_id desc offset %s limit 1),"
        " (select min(product_id) from products)",
        user,
    )
    click = Click(f"c{user}", user_id, time, "Product", source, "::1")
    purchase = Purchase(
        *(f"p{user}", user_id, product_id, 1, 0, 0, 0),
        *("Visa", "success", "none", time),
    )
    for topic, event in (("clicks", click), ("purchases", purchase)):
        pipeline.send(topic, event.key.encode(), msgspec.json.encode(event))


def test_values_change_as_events_arrive(visit: Open, pipeline: Harness) -> None:
    page = visit().filled()
    before = page.shown
    sold(pipeline, "Google", user=1)
    changing = [
        panel.id
        for panel in INSIGHTS.panels
        if panel.title
        in ("Revenue", "Profit", "Checkouts", "Revenue and profit by source")
    ]
    eventually(
        lambda: all(page.shown[panel] != before[panel] for panel in changing),
        "the values change",
    )
    assert page.state == "Live"


def test_a_sources_name_is_text_whatever_it_holds(
    visit: Open, pipeline: Harness
) -> None:
    name = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    sold(pipeline, name, user=2)
    page = visit().filled()
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.page.on("dialog", note)
    bars = next(panel for panel in INSIGHTS.panels if panel.title.endswith("by source"))
    eventually(
        lambda: name in [row[0] for row in page.shown[bars.id][-1]], "the name is shown"
    )
    eventually(
        lambda: page.page.locator("td", has_text=name).count() >= 2,
        "it is in the table of checkouts too",
    )
    # The tooltip and the legend must show the name as text, too
    canvas = page.page.locator(f"#panel-{bars.id} .canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    for step in range(12):
        page.page.mouse.move(box["x"] + box["width"] * (step + 1) / 13, box["y"] + 60)
    assert page.page.locator("img").count() == 0
    assert page.page.locator("script:not([src]):not([type])").count() == 0
    assert dialogs == []


def _fitting(page: Page) -> dict[str, Any] | None:
    """Return where the panels are, or None while something sticks out or is cut off."""
    found: dict[str, Any] = page.evaluate(
        """() => ({
            beyond: document.documentElement.scrollWidth - innerWidth,
            panels: [...document.querySelectorAll(".panel")].map((panel) => {
                const { x, y, right, bottom } = panel.getBoundingClientRect();
                return [x, y, right, bottom];
            }),
            cut: [...document.querySelectorAll(".value, .spans a, .tabs a, .state")]
                .filter((each) => each.scrollWidth > each.clientWidth + 1)
                .map((each) => each.textContent),
            values: [...document.querySelectorAll(".stat")].filter((stat) =>
                stat.querySelector(".value").getBoundingClientRect().right
                > stat.getBoundingClientRect().right).length,
        })"""
    )
    fits = found["beyond"] <= 0 and found["cut"] == [] and found["values"] == 0
    return found if fits else None


@pytest.mark.parametrize(
    ("dashboard", "scheme"),
    [(INSIGHTS, "light"), (PIPELINE, "dark")],
    ids=["insights-light", "pipeline-dark"],
)
def test_nothing_overlaps_or_hangs_over_at_any_width(
    visit: Open, dashboard: Dashboard, scheme: str
) -> None:
    page = visit(f"/d/{dashboard.uid}", color_scheme=scheme).filled()
    for width, height in SIZES:
        page.page.set_viewport_size({"width": width, "height": height})
        # Wait, because charts adapt only after their panels have changed
        found = eventually(partial(_fitting, page.page), f"all of it fits {width} px")
        boxes = found["panels"]
        for number, (left, top, right, bottom) in enumerate(boxes):
            assert right > left and bottom - top > 60
            for x, y, other_right, other_bottom in boxes[:number]:
                apart = left >= other_right or x >= right
                assert apart or top >= other_bottom or y >= bottom
        if width < 500:
            charts = page.page.locator(".panel:not(.stat)")
            edges = {round(box["x"]) for box in map(_box, charts.all())}
            assert len(edges) == 1, "charts are one column"


def _box(locator: Any) -> dict[str, float]:
    box: dict[str, float] = locator.bounding_box()
    return box


def test_a_wide_page_has_the_panels_where_the_dashboard_puts_them(visit: Open) -> None:
    page = visit(viewport={"width": 1600, "height": 900})
    places = page.page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".panel")].map(
            (panel) => [panel.id, getComputedStyle(panel).gridArea]))"""
    )
    for panel in INSIGHTS.panels:
        at = panel.grid_pos
        assert places[f"panel-{panel.id}"] == (
            f"{at.y + 1} / {at.x + 1} / span {at.h} / span {at.w}"
        )


def becomes_light(page: Visit, light: bool) -> None:
    def is_so() -> bool:
        colour: str = page.page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        return (int(colour.removeprefix("rgb(").split(",")[0]) > 127) == light

    eventually(is_so, f"the page is {'light' if light else 'dark'}")


def test_the_theme_is_the_systems_until_the_other_one_is_chosen(visit: Open) -> None:
    page = visit(color_scheme="dark")
    becomes_light(page, False)
    page.page.emulate_media(color_scheme="light")
    becomes_light(page, True)
    button = page.page.get_by_role("button", name="Dark theme")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    becomes_light(page, False)
    page.page.reload()
    becomes_light(page, False)
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    becomes_light(page, True)
    # This choice equals the system's theme, so the page follows the system again
    page.page.emulate_media(color_scheme="dark")
    becomes_light(page, False)


def test_a_span_is_chosen_without_loading_the_page_anew(
    visit: Open, reader: psycopg.Connection
) -> None:
    page = visit().filled()
    page.page.evaluate("document.body.dataset.same = 'yes'")
    revenue = INSIGHTS.panels[0]
    page.page.get_by_role("link", name="Last 6 hours").click()
    assert page.page.url.endswith("?var-span=6%20hours")
    eventually(
        partial(shows_the_databases, page, reader, INSIGHTS, revenue, "6 hours"),
        "the revenue is of six hours",
    )
    current = page.page.locator(".spans [aria-current]")
    assert current.get_attribute("data-span") == "6 hours"
    page.page.go_back()
    expect(current).to_have_attribute("data-span", "1 hour")
    assert page.page.evaluate("document.body.dataset.same") == "yes"


def test_a_page_that_nobody_sees_asks_for_nothing(visit: Open, site: Site) -> None:
    page = visit().filled()
    assert site.counts["viewers"] == 1
    hide = (
        "Object.defineProperty(document, 'hidden', { value: %s, configurable: true });"
    )
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    page.page.evaluate(hide % "true" + tell)
    eventually(lambda: site.counts["viewers"] == 0, "the stream is closed")
    assert site.counts["asking"] == 0
    page.page.evaluate(hide % "false" + tell)
    eventually(lambda: site.counts["viewers"] == 1, "the stream is opened again")
    page.becomes("Live")


def test_who_pauses_the_page_sees_nothing_change(visit: Open, site: Site) -> None:
    page = visit().filled()
    pause = page.page.get_by_role("button", name="Pause")
    pause.click()
    page.becomes("Paused")
    eventually(lambda: site.counts["viewers"] == 0, "the stream is closed")
    assert "What you see is of" in page.notice
    pause.click()
    page.becomes("Live")


def test_formats_are_grafanas(visit: Open) -> None:
    page = visit()
    cases = [
        (0, "locale", 0, "0"),
        (1234567.5, "locale", 0, "1,234,568"),
        (1234.5, "locale", 2, "1,234.50"),
        (12345, "none", 0, "12345"),
        (0.1234, "percentunit", 1, "12.3%"),
        (0.93, "s", 1, "930.0 ms"),
        (0, "s", 1, "0 s"),
        (12.34, "s", 1, "12.3 s"),
        (90, "s", 1, "1.5 min"),
        (5400, "s", 1, "1.5 hours"),
        (1023, "bytes", 1, "1,023 B"),
        (1536, "bytes", 1, "1.5 KiB"),
        (3 * 1024**3, "bytes", 1, "3.0 GiB"),
        (1795543445123, "dateTimeAsIso", None, "2026-11-24 18:04:05"),
        ("<b>", "string", None, "<b>"),
    ]
    found = page.page.evaluate(
        """async (cases) => {
            const { format } = await import("/static/format.js");
            return cases.map(([value, unit, decimals]) =>
                format(value, unit, decimals ?? undefined));
        }""",
        cases,
    )
    assert found == [text for *_, text in cases], json.dumps(found)
