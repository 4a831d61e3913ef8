"""A shop's pipeline with servers that tests may kill, its live page and a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Site, Visit
from playwright.sync_api import Browser, sync_playwright

from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick_generator import generate
from harness import Harness
from pictures.chromium import find_chromium

CHROMIUM = find_chromium()


@pytest.fixture(scope="package")
def shop(make_session_home: Callable[[], Path]) -> Iterator[Pipeline]:
    settings = Settings.load().model_copy(update={"home": make_session_home()})
    with stacks.up(settings) as started:
        generate(
            started.pipeline.bootstrap_servers,
            rate=0.5,
            duration=1,
            anomaly_rate=0.05,
            backfill_hours=2,
            seed=6,
        )
        yield started.pipeline


@pytest.fixture(scope="module")
def pipeline(shop: Pipeline) -> Iterator[Harness]:
    """Connect again for each module, since an earlier one may have killed servers."""
    pipeline = Harness(shop)
    pipeline.settle()
    yield pipeline
    pipeline.close()


@pytest.fixture(scope="package")
def site(shop: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the live page as a process."""
    with Site(shop, tmp_path_factory.mktemp("live") / "log") as site:
        yield site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt install chromium")
    with sync_playwright() as playwright:
        # Chromium's sandbox doesn't work for root, and /dev/shm may be small
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Visit]]:
    """Return a function that opens pages; at the end, none may have complained."""
    visits: list[Visit] = []

    def open_page(path: str = "/d/firstclick-insights", **context: Any) -> Visit:
        address = path if path.startswith("http") else site.url + path
        visits.append(Visit(browser, address, **context))
        return visits[-1]

    yield open_page
    for each in visits:
        each.close()
    assert [line for each in visits for line in each.complaints] == []
