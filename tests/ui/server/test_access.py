"""You can use the page if you can't see it or have no mouse."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import Visit
from playwright.sync_api import expect

from firstclick.dashboard.definition import BarChart, TimeSeries, load_all
from firstclick.dashboard.server.assets import STATIC

INSIGHTS = next(iter(load_all().values()))
Open = Callable[..., Visit]


def test_landmarks_headings_and_names_are_there(visit: Open) -> None:
    page = visit().filled().page
    assert page.title() == "Insights · First Click"
    expect(page.locator("html")).to_have_attribute("lang", "en")
    for role in ("banner", "main"):
        expect(page.get_by_role(role)).to_have_count(1)
    for name in ("Dashboards", "Time span"):
        expect(page.get_by_role("navigation", name=name)).to_be_visible()
    expect(page.get_by_role("heading", level=1, name="Insights")).to_have_count(1)
    for panel in INSIGHTS.panels:
        heading = page.get_by_role("heading", level=2, name=panel.title, exact=True)
        expect(heading).to_have_count(1)
        expect(
            page.get_by_role("region", name=panel.title, exact=True).first
        ).to_be_visible()
        if isinstance(panel, BarChart | TimeSeries):
            section = page.locator(f"#panel-{panel.id}")
            expect(section.get_by_role("img")).to_have_attribute(
                "aria-label", re.compile(re.escape(panel.title))
            )
            expect(section.get_by_role("table", name=panel.title)).to_have_count(1)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a")]
            .filter((each) => !(each.ariaLabel || each.textContent.trim()))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("[aria-live], [role=status]").count() == 1


def test_everything_is_reached_by_keys_and_visibly_so(visit: Open) -> None:
    page = visit().filled().page
    reached: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate(
            """() => {
                const at = document.activeElement;
                const { outlineStyle, outlineWidth } = getComputedStyle(at);
                return [at.ariaLabel ?? at.textContent.trim(),
                        outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
            }"""
        )
        assert outlined, name
        reached.append(name)
    for name in ("Skip to the panels", "Pipeline", "Pause", "Dark theme"):
        assert name in reached
    assert "About Revenue" in reached and "Last 6 hours" in "".join(reached)
    assert "Revenue and profit by source as a table" in reached


def test_keys_do_what_a_mouse_does(visit: Open) -> None:
    page = visit().filled().page
    page.get_by_role("button", name="About Revenue", exact=True).focus()
    page.keyboard.press("Enter")
    about = page.locator(f"#about-{INSIGHTS.panels[0].id}")
    expect(about).to_be_visible()
    page.keyboard.press("Escape")
    expect(about).to_be_hidden()
    table = page.get_by_role("button", name="Revenue and profit by source as a table")
    table.focus()
    page.keyboard.press("Space")
    section = page.locator("section", has=table)
    expect(table).to_have_attribute("aria-pressed", "true")
    expect(section.locator(".canvas")).to_be_hidden()
    box = section.get_by_role("table").bounding_box()
    assert box is not None and box["height"] > 100
    series = page.locator(".timeseries .legend button").first
    series.focus()
    page.keyboard.press("Enter")
    expect(series).to_have_attribute("aria-pressed", "false")
    page.get_by_role("link", name="Last 24 hours").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".spans [aria-current]")).to_have_attribute(
        "data-span", "24 hours"
    )


def test_nothing_moves_for_who_asks_for_less_motion(visit: Open) -> None:
    page = visit(reduced_motion="reduce").filled()
    page.becomes("Live")
    assert page.page.evaluate("document.getAnimations().length") == 0


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_stand_out_from_what_they_are_on(theme: str) -> None:
    style = (Path(STATIC) / "page.css").read_text()
    light, dark = re.findall(r":root[^{]*\{(.*?)\n\}", style, re.DOTALL)[:2]
    tokens = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if theme == "dark":
        tokens |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))
    for ground in ("ground", "panel", "raised"):
        for text in ("text", "muted", "accent", "bad"):
            assert contrast(tokens[text], tokens[ground]) >= 4.5, (text, ground)
        for shape in ("good", "warn"):
            assert contrast(tokens[shape], tokens[ground]) >= 3, (shape, ground)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_coloured_values_stand_out_too(visit: Open, scheme: str) -> None:
    page = visit(color_scheme=scheme).filled().page
    found = page.evaluate(
        """() => [...document.querySelectorAll(".value, .share, .arrow, td[style]")]
            .filter((each) => each.checkVisibility())
            .map((each) => [each.className === "value" ? 3 : 4.5,
                getComputedStyle(each).color,
                getComputedStyle(each.closest(".panel")).backgroundColor])"""
    )
    assert len(found) > 10
    for least, colour, ground in found:
        assert contrast(_hex(colour), _hex(ground)) >= least - 0.05, colour


def _hex(colour: str) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour)[:3])
