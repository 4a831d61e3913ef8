"""One query per panel and interval serves all viewers with the latest values."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from browsing import Site
from streams import Viewer

from firstclick.dashboard.definition import load_all
from firstclick.dashboard.server.board import INTERVAL
from harness import Harness
from worker_world import eventually

INSIGHTS = next(iter(load_all().values()))
PANELS = {panel.id for panel in INSIGHTS.panels}


@pytest.fixture(autouse=True)
def _nobody_else(site: Site) -> None:
    eventually(lambda: site.counts["viewers"] == 0, "nobody else looks")


def test_fifty_viewers_get_every_panel_and_add_no_query(site: Site) -> None:
    start = time.monotonic()
    before = site.counts["queries"]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(50) as threads:
        viewers = [
            stack.enter_context(Viewer(site.port, INSIGHTS.uid)) for _ in range(50)
        ]
        eventually(lambda: site.counts["viewers"] == 50, "all are there")
        assert site.counts["asking"] == len(PANELS)
        for messages in threads.map(lambda each: each.panels(3 * len(PANELS)), viewers):
            assert {message["panel"] for message in messages} == PANELS
        counts = site.counts
    # One query for each panel, and one for the pipeline's health
    most = (len(PANELS) + 1) * ((time.monotonic() - start) / INTERVAL + 2)
    assert counts["queries"] - before <= most
    eventually(lambda: site.counts["viewers"] == 0, "all are gone")
    assert site.counts["asking"] == 0


def test_another_span_asks_only_for_the_panels_that_have_one(site: Site) -> None:
    spanned = sum("span" in panel.target.raw_sql for panel in INSIGHTS.panels)
    with Viewer(site.port, INSIGHTS.uid), Viewer(site.port, INSIGHTS.uid, "6 hours"):
        eventually(lambda: site.counts["viewers"] == 2, "both are there")
        timed = sum("$__time" in panel.target.raw_sql for panel in INSIGHTS.panels)
        assert spanned + timed <= site.counts["asking"] - len(PANELS) <= len(PANELS)


@contextlib.contextmanager
def standing_still(pipeline: Harness) -> Iterator[None]:
    """Stop the page's sessions in PostgreSQL (SIGSTOP) while the block runs."""
    sessions = [
        pid
        for (pid,) in pipeline.query(
            "select pid from pg_stat_activity"
            " where application_name = 'firstclick live'"
        )
    ]
    assert sessions
    for pid in sessions:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in sessions:
            os.kill(pid, signal.SIGCONT)


def test_who_comes_while_the_database_stands_still_gets_the_last_values(
    pipeline: Harness, site: Site
) -> None:
    with Viewer(site.port, INSIGHTS.uid) as early:
        early.panels(2 * len(PANELS))
        with standing_still(pipeline), Viewer(site.port, INSIGHTS.uid) as late:
            messages = late.panels(len(PANELS))
            news = iter(late.next, None)
            assert any(name == "pulse" and now["state"] == "away" for name, now in news)
    assert {message["panel"] for message in messages} == PANELS


def test_who_looks_at_nothing_new_is_told_that_the_stream_lives(site: Site) -> None:
    with Viewer(site.port, INSIGHTS.uid) as viewer:
        name, now = viewer.next()
        assert name == "beat"
        assert abs(now / 1000 - time.time()) < 60
