"""The whole stack on servers that you provide."""

import contextlib
import time

import psutil
import psycopg
import pytest
from psycopg import sql

from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline, find, running
from firstclick.core.settings import Settings
from firstclick.deploy.embedded import Deployer
from firstclick.operate import status as statuses
from firstclick.operate.status import Status, engine_status, status
from firstclick_generator import generate
from harness import Harness
from worker_world import eventually


def _status(stack: Pipeline) -> Status:
    return status(Settings.load().model_copy(update={"home": stack.home}))


def test_given_servers_are_used_and_none_started(
    servers: Pipeline, stack: Pipeline
) -> None:
    assert stack.database_url == servers.database_url
    assert stack.bootstrap_servers == servers.bootstrap_servers
    state = find(stack.home)
    assert state is not None
    assert set(state.children) == {"connector", "live", "publisher"}


def test_what_is_sent_to_kafka_is_answered_by_postgres(stack: Pipeline) -> None:
    before = {topic.topic: topic.accepted for topic in _status(stack).topics}
    sent = generate(stack.bootstrap_servers, rate=200, duration=1, anomaly_rate=0)
    expected = {
        "clicks": before["clicks"] + sent.clicks,
        "purchases": before["purchases"] + sent.purchases,
    }
    deadline = time.monotonic() + 60
    while True:
        found = _status(stack)
        accepted = {topic.topic: topic.accepted for topic in found.topics}
        if accepted == expected:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert found.healthy, found.problems
    assert all(part.lag == 0 for part in found.partitions)
    assert sum(part.in_kafka or 0 for part in found.partitions) >= sum(
        accepted.values()
    )


def test_a_batch_that_can_not_be_read_is_a_problem_until_it_is_passed_by(
    servers: Pipeline, stack: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statuses, "_STALE_SECONDS", 0.5)
    with contextlib.closing(Harness(stack)) as pipeline:
        pipeline.settle()
        offset = _send_damaged(pipeline, servers)

        def is_told() -> bool:
            nonlocal offset
            [(position,)] = pipeline.query(
                "select next_offset from kafka_offsets"
                " where topic = 'clicks' and kafka_partition = 0"
            )
            if position > offset:
                # The connector read the message before it was damaged: try again
                offset = _send_damaged(pipeline, servers)
            return any(
                problem.startswith(
                    "the connector reads nothing, but is 1 clicks behind"
                )
                for problem in _status(stack).problems
            )

        try:
            eventually(is_told, "status says so")
        finally:
            pipeline.query(
                "update kafka_offsets set next_offset = greatest(next_offset, %s)"
                " where topic = 'clicks' and kafka_partition = 0 returning 1",
                offset + 1,
            )
        eventually(lambda: _status(stack).healthy, "healthy again")


def _send_damaged(pipeline: Harness, servers: Pipeline) -> int:
    """Send a click to partition 0 and damage it in Kafka's log; return its offset."""
    stack = pipeline.stack
    name = f"{stack.topic_prefix}clicks"
    offset = pipeline.ends("clicks")[0]
    log = servers.home / "kafka" / "data" / f"{name}-0" / f"{0:020}.log"
    message = b'{"click_id": "damaged"}'
    state = find(stack.home)
    assert state is not None
    connector = psutil.Process(state.children["connector"].process.pid)
    connector.suspend()
    try:
        # Until Kafka has answered the connector's last fetch
        time.sleep(1)
        pipeline.send("clicks", b"damaged", message, partition=0)
        with log.open("r+b") as file:
            file.seek(log.read_bytes().rindex(message))
            file.write(b"[")
    finally:
        connector.resume()
    return offset


@pytest.mark.parametrize("target", ["materialize", "risingwave"])
def test_an_engine_that_does_not_answer_is_a_problem(
    servers: Pipeline, target: str
) -> None:
    nowhere = Pipeline(
        *(servers.home, "postgresql://127.0.0.1:1/x", servers.kafka, "none", ""), target
    )
    found = engine_status(Settings.load(), nowhere)
    assert not found.healthy
    (problem,) = found.problems
    assert problem.startswith(f"{target}: ")
    assert "127.0.0.1" in problem
    assert found.partitions
    assert all(partition.in_kafka is not None for partition in found.partitions)


def test_models_are_deployed_again_only_when_something_changed(stack: Pipeline) -> None:
    deployer = Deployer(Home(stack.home), stack.database_url, stack.schema_name, "")
    # Another test may have replaced relations
    deployer.deploy()
    assert deployer.deploy().startswith("Models up to date")
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("drop view {}.last_hour_genders").format(
                sql.Identifier(stack.schema_name)
            )
        )
    assert deployer.deploy().startswith("Models deployed")
    assert deployer.deploy().startswith("Models up to date")


def test_others_find_the_addresses_of_a_running_stack(stack: Pipeline) -> None:
    assert running(Settings.load().model_copy(update={"home": stack.home})) == stack
