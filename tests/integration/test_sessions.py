"""Many sessions, or long ones, don't stop anybody else from working."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import psycopg
import pytest

from firstclick.core.pipeline import Pipeline
from firstclick.servers.roles import LIMITS, OWNER
from firstclick_generator import generate
from harness import Harness
from worker_world import eventually


@pytest.fixture(scope="module")
def pipeline(stack: Pipeline) -> Iterator[Harness]:
    pipeline = Harness(stack)
    yield pipeline
    pipeline.close()


def psql(stack: Pipeline, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a script with ``firstclick psql``."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from firstclick.cli import main; main()",
            "psql",
            "-At",
        ],
        env={**os.environ, "FIRSTCLICK_HOME": str(stack.home)},
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def carries(pipeline: Harness) -> None:
    """Send events, and wait until they are stored and published."""
    sent = generate(
        pipeline.stack.bootstrap_servers, rate=100, duration=0.5, anomaly_rate=0
    )
    assert sent.clicks > 0
    pipeline.settle()


def test_two_hundred_sessions_leave_room_for_the_workers(pipeline: Harness) -> None:
    url = pipeline.stack.database_url
    with contextlib.ExitStack() as held:
        sessions = [held.enter_context(psycopg.connect(url)) for _ in range(200)]
        for session in sessions:
            session.execute("select from last_hour_revenue")
        assert psql(pipeline.stack, "select 'in'").stdout == "in\n"
        carries(pipeline)
        refused = None
        for _ in range(OWNER.connections):
            try:
                held.enter_context(psycopg.connect(url))
            except psycopg.OperationalError as error:
                refused = error
                break
        assert 'too many connections for role "firstclick"' in str(refused)
        beyond = psql(pipeline.stack, "select 'in'")
        assert (beyond.returncode, beyond.stdout) == (2, "")
        assert beyond.stderr.count("\n") == 1
        assert beyond.stderr.rstrip().endswith(
            'too many connections for role "firstclick"'
        )
        carries(pipeline)


def test_the_roles_together_stay_below_what_the_server_takes(
    pipeline: Harness,
) -> None:
    ((most,),) = pipeline.query("select current_setting('max_connections')::int")
    limits = [OWNER, *LIMITS.values()]
    assert sum(limit.connections for limit in limits) < most


def test_a_query_without_an_end_keeps_no_writer_waiting(pipeline: Harness) -> None:
    with psycopg.connect(pipeline.stack.database_url) as reader:
        reader.execute("set search_path to firstclick")
        ended = threading.Event()

        def ask() -> None:
            with contextlib.suppress(psycopg.errors.QueryCanceled):
                reader.execute(
                    "select count(*) from checkouts, stg_clicks, minute_revenue,"
                    " raw_clicks, pg_sleep(3600)"
                )
            ended.set()

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            eventually(
                lambda: pipeline.query(
                    "select from pg_stat_activity where pid = %s"
                    " and wait_event = 'PgSleep'",
                    reader.info.backend_pid,
                ),
                "the query has begun",
            )
            carries(pipeline)
            assert not ended.is_set()
        finally:
            reader.cancel_safe()
            thread.join()


def test_psql_may_not_hold_a_snapshot_for_long(stack: Pipeline) -> None:
    for setting, value in OWNER.settings.items():
        assert psql(stack, f"show {setting}").stdout.strip() == value
    ended = psql(stack, "set transaction_timeout to '100ms'; select pg_sleep(3600)")
    assert ended.returncode == 2
    assert "terminating connection due to transaction timeout" in ended.stderr


@pytest.mark.parametrize("role", ["owner", "reader"])
def test_a_transaction_that_rests_is_ended_with_a_word(
    pipeline: Harness, role: str
) -> None:
    stack = pipeline.stack
    url = stack.database_url if role == "owner" else stack.reader_url
    with psycopg.connect(url) as reader:
        reader.execute("set idle_in_transaction_session_timeout to '100ms'")
        reader.execute("select from firstclick.checkouts limit 0")
        eventually(
            lambda: (
                not pipeline.query(
                    "select from pg_stat_activity where pid = %s",
                    reader.info.backend_pid,
                )
            ),
            "the session is ended",
        )
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            reader.execute("select")
