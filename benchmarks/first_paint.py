"""The time until a first visitor sees the live page, in a real browser."""

from collections.abc import Callable
from statistics import median

from playwright.sync_api import Browser, sync_playwright

from benchmarks.findings import Section
from benchmarks.panels import RATE
from benchmarks.stage import Stage
from firstclick.dashboard.definition import load_all
from pictures.chromium import need_chromium

TARGET = 1.0
"""Seconds until the first contentful paint."""

_DRAWN = """() => new Promise((resolve) => {
    const look = () => document.querySelector("[aria-busy=true]")
        ? requestAnimationFrame(look) : resolve(performance.now());
    look();
})"""

_PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


def paint(stage: Stage, visits: int, say: Callable[[str], None]) -> Section:
    """Visit each dashboard ``visits`` times with an empty cache while events come in.

    The browser itself measures, from the start of the navigation to the first
    contentful paint and until every panel shows a value. Raises ServerError if Chromium
    isn't installed.
    """
    section = Section("page")
    chromium = need_chromium()
    say(f"{visits} visits to each dashboard with an empty cache")
    with stage.generator(RATE, 10 + 4 * visits), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        for uid, dashboard in load_all().items():
            name = dashboard.title.split(": ")[-1]
            address = f"{stage.stack.live_url}d/{uid}"
            seen = [_visit(browser, address) for _ in range(visits)]
            painted, drawn = (list(values) for values in zip(*seen, strict=True))
            middle = median(painted)
            section.add(
                f"{name}, first paint, median",
                1000 * middle,
                "ms",
                target=f"≤ {1000 * TARGET:.0f}",
                met=middle <= TARGET,
            )
            section.add(f"{name}, all panels, median", 1000 * median(drawn), "ms")
            section.series[name] = {
                "first_paint_seconds": [round(value, 3) for value in painted],
                "all_panels_seconds": [round(value, 3) for value in drawn],
            }
        browser.close()
    return section


def _visit(browser: Browser, address: str) -> tuple[float, float]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    drawn = page.evaluate(_DRAWN)
    painted = page.evaluate(_PAINTED)
    page.context.close()
    return painted / 1000, drawn / 1000
