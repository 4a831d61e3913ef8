"""Healthy means that a message you send now soon appears in the results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from psycopg import sql

from firstclick.core.home import Home, State
from firstclick.core.pipeline import Pipeline, find
from firstclick.core.settings import Settings
from firstclick.operate import liveness
from firstclick.operate.status import Status, status
from harness import Harness
from worker_world import eventually

pytestmark = pytest.mark.timeout(180)


def _status(stack: Pipeline) -> Status:
    return status(Settings.load().model_copy(update={"home": stack.home}))


def _state(stack: Pipeline) -> State:
    state = find(stack.home)
    assert state is not None
    return state


def _process(stack: Pipeline, name: str) -> psutil.Process:
    return psutil.Process(_state(stack).children[name].process.pid)


def _says(stack: Pipeline, words: str) -> Callable[[], bool]:
    def holds() -> bool:
        found = _status(stack)
        return any(words in problem for problem in found.problems)

    return holds


@contextmanager
def suspended(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@pytest.fixture
def pipeline(stack: Pipeline) -> Iterator[Harness]:
    """Check that the pipeline is healthy before and after the test."""
    pipeline = Harness(stack)
    eventually(lambda: _status(stack).healthy, "it is healthy")
    yield pipeline
    eventually(lambda: _status(stack).healthy, "it is healthy again")
    pipeline.close()


def test_a_process_that_stands_still_is_a_problem(
    stack: Pipeline, pipeline: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "_SILENT_SECONDS", 2.0)
    for name in ("publisher", "connector"):
        with suspended(_process(stack, name)):
            eventually(_says(stack, f"the {name} stands still"), f"{name} is named")
    supervisor = _state(stack).supervisor.find()
    assert supervisor is not None
    with suspended(supervisor):
        eventually(_says(stack, "the supervisor stands still"), "it is named")
    with suspended(_process(stack, "live")):
        eventually(_says(stack, "the live page does not answer"), "it is named")


def test_a_worker_that_fails_at_the_same_again_and_again_is_a_problem(
    stack: Pipeline, pipeline: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "_FAILING_SECONDS", 1.0)
    pipeline.database.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'not today'; end $$"
    )
    pipeline.database.execute(
        "create trigger zz_refuse before insert on raw_clicks"
        " for each row execute function refuse()"
    )
    try:
        pipeline.send("clicks", b"refused", b"{}")
        eventually(_says(stack, "the connector has failed for"), "it is named")
        assert any("not today" in problem for problem in _status(stack).problems)
    finally:
        pipeline.database.execute("drop function refuse cascade")


def test_a_process_that_was_started_again_is_a_warning(
    stack: Pipeline, pipeline: Harness
) -> None:
    before = _state(stack).children["publisher"]
    _process(stack, "publisher").kill()

    def again() -> bool:
        child = _state(stack).children["publisher"]
        return child.running and child.restarts == before.restarts + 1

    eventually(again, "it was started again")
    child = _state(stack).children["publisher"]
    assert child.in_a_row >= 1
    assert child.reason is not None and "SIGKILL" in child.reason
    (warning,) = (each for each in _status(stack).warnings if "publisher" in each)
    assert warning.startswith("publisher was started again")


def test_a_trigger_that_is_disabled_is_a_problem(
    stack: Pipeline, pipeline: Harness
) -> None:
    [(name,)] = pipeline.query(
        "select tgname from pg_trigger where tgrelid = 'raw_clicks'::regclass"
        " and not tgisinternal order by tgname limit 1"
    )
    trigger = sql.Identifier(name)
    pipeline.database.execute(
        sql.SQL("alter table raw_clicks disable trigger {}").format(trigger)
    )
    eventually(_says(stack, "so rows may be wrong: run `dbt run`"), "it is named")
    assert pipeline.dbt("run").returncode == 0


def test_a_topic_that_is_gone_is_a_problem(
    stack: Pipeline, pipeline: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(stack.home)
    state = home.state
    assert state is not None
    before = state.topic_prefix
    state.topic_prefix = "none."
    home.write(state, "state.json")
    try:
        problems = _status(stack).problems
        for topic in ("clicks", "purchases", "checkouts"):
            assert any(
                problem.startswith(f"the topic none.{topic} is not there")
                for problem in problems
            )
        assert not any("Kafka does not answer" in problem for problem in problems)
    finally:
        state.topic_prefix = before
        home.write(state, "state.json")
