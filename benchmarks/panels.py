"""The cost of a dashboard: the query of each panel while events come in."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

import psycopg

from benchmarks.findings import Section, percentile
from benchmarks.stage import Stage
from firstclick.dashboard.definition import (
    Dashboard,
    Panel,
    TimeRange,
    load_all,
    statement,
)

RATE = 1_000
TARGET = 0.050
"""Seconds that each panel's query may take (median)."""


def ask_panels(
    stage: Stage, runs: int, seconds: float, say: Callable[[str], None]
) -> Section:
    """Run the queries of all panels ``runs`` times, spread over ``seconds``.

    They run as the dashboards' role and over the last hour. A query's time runs from
    sending it until all its rows have arrived.
    """
    section = Section("panels")
    panels = [
        (dashboard, panel)
        for dashboard in load_all().values()
        for panel in dashboard.panels
    ]
    say(f"each of {len(panels)} panels {runs} times in {seconds:.0f} s")
    times: dict[str, list[float]] = {}
    with (
        psycopg.connect(stage.stack.reader_url, autocommit=True) as reader,
        stage.generator(RATE, seconds + 5),
    ):
        start = time.monotonic() + 3
        for run in range(runs):
            time.sleep(max(0.0, start + run * seconds / runs - time.monotonic()))
            for dashboard, panel in panels:
                sql = _statement(stage, dashboard, panel).encode()
                asked = time.perf_counter()
                reader.execute(sql, prepare=False).fetchall()
                name = f"{dashboard.title.split(': ')[-1]}, {panel.title}"
                times.setdefault(name, []).append(time.perf_counter() - asked)
    for name, values in times.items():
        middle = median(values)
        section.add(
            f"{name}, median",
            1000 * middle,
            "ms",
            target=f"≤ {1000 * TARGET:.0f}",
            met=middle <= TARGET,
        )
        section.add(f"{name}, p99", 1000 * percentile(values, 0.99), "ms")
        section.series[name] = [round(1000 * value, 2) for value in values]
    return section


def _statement(stage: Stage, dashboard: Dashboard, panel: Panel) -> str:
    return statement(
        dashboard,
        panel.target.raw_sql,
        {"schema": stage.stack.schema_name},
        TimeRange.last(dashboard.time.from_, datetime.now(UTC)),
    )
