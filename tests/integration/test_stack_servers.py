"""Kafka and PostgreSQL as the supervisor runs them."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from firstclick.core.cluster import Cluster
from firstclick.core.errors import FirstClickError, HomeError
from firstclick.core.home import Home, State
from firstclick.core.pipeline import Pipeline, find, running
from firstclick.core.processes import ProcessId
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.servers.kafka import Kafka
from firstclick.servers.topics import TOPICS, problems


def _settings(home: Path, **update: object) -> Settings:
    return Settings.load().model_copy(update={"home": home, **update})


def _state(home: Path) -> State:
    state = find(home)
    assert state is not None
    return state


def _kill(process: ProcessId) -> None:
    found = process.find()
    if found is not None:
        found.kill()
        found.wait(30)


def _produce(servers: str, value: bytes) -> None:
    delivered: list[object] = []
    producer = Cluster(servers).producer()
    producer.produce(
        "clicks",
        key=b"k",
        value=value,
        partition=0,
        on_delivery=lambda error, message: delivered.append(error),
    )
    assert producer.flush(30) == 0
    assert delivered == [None]


def _first_value(servers: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test"})
    try:
        consumer.assign([TopicPartition("clicks", 0, 0)])
        message = consumer.poll(30)
        assert message is not None
        return message.value()
    finally:
        consumer.close()


def test_the_topics_are_as_the_pipeline_needs_them(servers: Pipeline) -> None:
    client = AdminClient({"bootstrap.servers": servers.bootstrap_servers})
    topics = client.list_topics(timeout=10).topics
    assert set(TOPICS) <= topics.keys()
    assert {len(topics[topic].partitions) for topic in TOPICS} == {4}
    assert problems(client, "") == []


def test_a_topic_that_is_not_compacted_is_a_problem(servers: Pipeline) -> None:
    client = AdminClient({"bootstrap.servers": servers.bootstrap_servers})
    policies = {"cleanup.policy": "delete"}
    created = client.create_topics(
        [NewTopic(f"given.{topic}", 1, 1, config=policies) for topic in TOPICS]
    )
    for future in created.values():
        future.result(30)
    found = {
        (problem.topic, problem.problem[:16]) for problem in problems(client, "given.")
    }
    assert ("given.clicks", "is not compacted") in found
    assert ("given.clicks", "has the producer") in found


def test_kafka_takes_a_payload_of_more_than_a_megabyte(servers: Pipeline) -> None:
    client = AdminClient({"bootstrap.servers": servers.bootstrap_servers})
    resource = ConfigResource(ResourceType.TOPIC, "clicks")
    config = client.describe_configs([resource])[resource].result(30)
    assert int(config["max.message.bytes"].value) > 2_000_000


def test_postgres_listens_on_loopback_alone_and_wants_the_password(
    servers: Pipeline,
) -> None:
    with psycopg.connect(servers.database_url) as connection:
        assert connection.info.server_version >= 180000
        row = connection.execute(
            "select current_setting('listen_addresses'),"
            " current_setting('fsync'), current_setting('synchronous_commit'),"
            " current_setting('data_checksums')"
        ).fetchone()
        assert row == ("127.0.0.1", "on", "on", "on")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(servers.database_url, password="guess")


@pytest.fixture(scope="module")
def home(make_home: Callable[[], Path]) -> Iterator[Path]:
    """Make a second home, whose creation was interrupted once."""
    path = make_home()
    Home.open(path)
    for remains in ("postgres/initialisingx/data", "kafka/formattingx/data"):
        (path / remains).mkdir(parents=True)
    if os.geteuid() == 0:
        for made in (path / "postgres", *(path / "postgres").rglob("*")):
            shutil.chown(made, "nobody")
    yield path
    stacks.down(path)


def test_a_home_whose_servers_were_half_made_is_completed(home: Path) -> None:
    _start(home)
    assert [*home.glob("postgres/initialising*"), *home.glob("kafka/formatting*")] == []


def test_what_was_acknowledged_survives_kill_9_of_everything(
    servers: Pipeline, home: Path
) -> None:
    first = _start(home)
    assert first.bootstrap_servers != servers.bootstrap_servers
    _produce(first.bootstrap_servers, b"survives")
    with psycopg.connect(first.database_url, autocommit=True) as connection:
        connection.execute("create table kept as select 'survives' as word")

    state = _state(home)
    for process in (state.supervisor, *(c.process for c in state.children.values())):
        _kill(process)
    assert find(home) is None

    again = _start(home)
    assert again == first
    assert _first_value(again.bootstrap_servers) == b"survives"
    with psycopg.connect(again.database_url) as connection:
        assert connection.execute("select * from kept").fetchall() == [("survives",)]

    before = _state(home)
    _kill(before.children["postgres"].process)
    _kill(before.children["kafka"].process)
    _wait_until(lambda: _restarted(home, before))
    assert _first_value(again.bootstrap_servers) == b"survives"
    _wait_until(lambda: _answers(again.database_url))


def test_what_a_killed_supervisor_leaves_behind_is_ended(home: Path) -> None:
    _start(home)
    state = _state(home)
    _kill(state.supervisor)
    stacks.down(home)
    assert [c for c in state.children.values() if c.process.find()] == []
    assert stacks.down(home) is False


def test_a_stack_of_an_earlier_version_is_found_after_the_clock_was_set(
    home: Path,
) -> None:
    _start(home)
    state = _state(home)
    processes = [state.supervisor, *(c.process for c in state.children.values())]
    record = json.loads((home / "state.json").read_text())
    recorded = [record["supervisor"]]
    recorded += [child["process"] for child in record["children"].values()]
    for process in recorded:
        began = psutil.Process(process["pid"]).create_time()
        process.pop("boot", None)
        process.pop("ticks", None)
        process["create_time"] = began - 60
    Home(home).write_bytes(json.dumps(record).encode(), "state.json")
    assert _state(home).phase == "ready"
    assert running(_settings(home)).home == home
    assert stacks.down(home) is True
    assert [process for process in processes if process.find()] == []
    assert find(home) is None


def test_a_home_in_use_is_not_started_twice(servers: Pipeline) -> None:
    with pytest.raises(HomeError, match="in use"), Home(servers.home).locked():
        pass
    again = stacks.start(_settings(servers.home), detach=True, servers_only=True)
    assert again.pipeline == servers
    assert again.supervisor is None


def test_data_of_another_version_is_refused_untouched(
    make_home: Callable[[], Path],
) -> None:
    home = make_home()
    data = home / "postgres" / "data"
    Home.open(home)
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(FirstClickError, match="PostgreSQL 17, expected 18"):
        _start(home)
    assert [file.name for file in data.iterdir()] == ["PG_VERSION"]


def test_kafkas_data_of_another_version_are_refused_untouched(
    make_home: Callable[[], Path],
) -> None:
    home = Home.open(make_home())
    data = home.path / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").touch()
    (data.parent / "version").write_text("3.9.0\n")
    with pytest.raises(HomeError, match=r"Kafka 3\.9\.0, expected 4.*backup"):
        Kafka(home, 1, 2).prepare(threading.Event())
    assert [file.name for file in data.iterdir()] == ["meta.properties"]


@pytest.mark.parametrize(
    ("update", "complaint"),
    [
        ({"database_url": "postgresql://a:b@127.0.0.1:1/c"}, "can't be reached"),
        ({"kafka_bootstrap_servers": "127.0.0.1:1"}, "can't be made on 127.0.0.1:1"),
        ({"target": "materialize"}, "expected 'embedded'"),
    ],
)
def test_given_servers_that_can_not_be_used_are_told_in_one_line(
    servers: Pipeline,
    make_home: Callable[[], Path],
    update: dict[str, str],
    complaint: str,
) -> None:
    given = {
        "database_url": servers.database_url,
        "kafka_bootstrap_servers": servers.bootstrap_servers,
    }
    with pytest.raises(FirstClickError, match=complaint) as raised:
        stacks.start(
            _settings(make_home(), **given | update), detach=True, servers_only=True
        )
    assert "\n" not in str(raised.value)


def test_a_given_port_that_is_taken_is_told(
    servers: Pipeline, make_home: Callable[[], Path]
) -> None:
    taken = int(servers.bootstrap_servers.rpartition(":")[2])
    for name in ("kafka_port", "postgres_port"):
        with pytest.raises(FirstClickError, match=f"port {taken} is taken"):
            stacks.start(
                _settings(make_home(), **{name: taken}), detach=True, servers_only=True
            )


def _start(home: Path) -> Pipeline:
    return stacks.start(_settings(home), detach=True, servers_only=True).pipeline


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _restarted(home: Path, before: State) -> bool:
    now = _state(home)
    return all(
        child.running and child.process != before.children[name].process
        for name, child in now.children.items()
    )


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
