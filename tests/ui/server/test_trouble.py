"""The page's messages and behaviour while part of the pipeline is down."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from browsing import Site, Visit
from psycopg import sql
from streams import Viewer

from firstclick.core.home import Home
from firstclick.dashboard.definition import load_all
from firstclick.servers.roles import READER, role_of
from harness import Harness
from worker_world import eventually

Open = Callable[..., Visit]
INSIGHTS = next(iter(load_all().values()))
REVENUE = next(panel for panel in INSIGHTS.panels if panel.title == "Revenue")
GENDERS = next(panel for panel in INSIGHTS.panels if panel.title.endswith("gender"))


def server(pipeline: Harness, name: str) -> int:
    state = Home(pipeline.stack.home).state
    assert state is not None
    return state.children[name].process.pid


def test_the_pages_server_goes_and_comes_back(
    visit: Open, pipeline: Harness, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with Site(pipeline.stack, tmp_path / "log", FIRSTCLICK_LIVE_PORT=port) as first:
        page = visit(first.url + "/d/firstclick-pipeline", faults=True).filled()
        page.becomes("Live")
        assert first.end() == 0, "while a stream is open"
        assert json.loads(first.log.splitlines()[-1])["event"] == "stopped"
    page.becomes("Reconnecting…")
    assert page.notice.startswith("The page's server doesn't answer. What you see is ")
    with Site(pipeline.stack, tmp_path / "log", FIRSTCLICK_LIVE_PORT=port):
        page.becomes("Live")


def test_without_a_database_the_page_is_served_and_says_so(
    visit: Open, pipeline: Harness, tmp_path: Path
) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    with Site(pipeline.stack, tmp_path / "log", DATABASE_URL=away) as site:
        page = visit(site.url + "/d/firstclick-pipeline", faults=True)
        page.becomes("No database")
        assert page.page.locator("h2").count() == 10
        page.page.close()


def test_a_panel_that_fails_says_why_and_the_others_go_on(
    visit: Open, pipeline: Harness
) -> None:
    page = visit().filled()
    names = [sql.Identifier(pipeline.stack.schema_name, "last_hour_genders")]
    names.append(sql.Identifier(role_of(READER, pipeline.stack.schema_name)))
    may_read = sql.SQL("grant select on {} to {}").format(*names)
    may_not = sql.SQL("revoke select on {} from {}").format(*names)
    pipeline.database.execute(may_not)
    try:
        eventually(lambda: page.shown[GENDERS.id][3], "it says that it fails")
    finally:
        pipeline.database.execute(may_read)
    error = page.shown[GENDERS.id][3]
    assert error == "The dashboards' role may not read a relation that it needs."
    assert page.state == "Live" and page.shown[REVENUE.id][3] is None
    eventually(lambda: page.shown[GENDERS.id][3] is None, "it works again")


@contextlib.contextmanager
def locked(pipeline: Harness, table: str) -> Iterator[None]:
    with psycopg.connect(pipeline.stack.database_url) as connection:
        name = sql.Identifier(pipeline.stack.schema_name, table)
        connection.execute(
            sql.SQL("lock table {} in access exclusive mode").format(name)
        )
        yield
        connection.rollback()


def test_a_panel_that_is_slow_keeps_no_other_one_waiting(
    pipeline: Harness, site: Site
) -> None:
    with Viewer(site.port, INSIGHTS.uid) as viewer:
        viewer.panels(len(INSIGHTS.panels))
        with locked(pipeline, "minute_genders"):
            others = 0
            while True:
                (message,) = viewer.panels(1)
                if message["panel"] == GENDERS.id:
                    break
                others += message["panel"] == REVENUE.id
    assert message["error"] == "The query takes longer than 5 s."
    assert others >= 3


def test_kafka_and_then_postgres_die_and_come_back(
    visit: Open, pipeline: Harness
) -> None:
    page = visit().filled()
    page.becomes("Live")
    kafka = server(pipeline, "kafka")
    # Stop rather than kill it: the supervisor restarts a dead one at once
    os.kill(kafka, signal.SIGSTOP)
    page.becomes("Stopped")
    assert page.notice.startswith("Nothing comes from Kafka. What you see is ")
    os.kill(kafka, signal.SIGKILL)
    os.kill(server(pipeline, "postgres"), signal.SIGKILL)
    page.becomes("No database")
    assert page.notice.startswith("The database doesn't answer. What you see is ")
    assert page.shown[REVENUE.id][0][0].isdigit(), "the last values stay"
    page.becomes("Live")
    assert " old" not in page.notice
