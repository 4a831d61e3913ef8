"""Connector, Kafka and PostgreSQL killed under load: nothing lost, nothing twice."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest

from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from worker_world import World, eventually, new_world, seeded

pytestmark = pytest.mark.timeout(240)


@contextmanager
def load(world: World, random: Random) -> Iterator[None]:
    """Send messages from another thread for as long as the block runs.

    At most about 5,000 per second: a connector on a busy machine keeps up with them.
    """
    done = threading.Event()

    def messages() -> Iterator[tuple[bytes, bytes | None]]:
        for _ in range(random.randrange(500)):
            key = b"%d" % random.randrange(20_000)
            yield key, None if random.random() < 0.1 else random.randbytes(100)

    def send() -> None:
        while not done.is_set():
            for topic in ("clicks", "purchases"):
                world.send(topic, messages())
            done.wait(0.1)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        done.set()
        sender.join()


SLOW_OFFSETS = """
create function {schema}.pause() returns trigger language plpgsql as $$
begin
    perform pg_sleep(0.02);
    return null;
end
$$;
create trigger pause before update on {schema}.kafka_offsets
for each statement execute function {schema}.pause();
"""
"""Widens the gap that there would be if rows and offsets were committed apart."""


def is_writing(world: World, relation: str) -> bool:
    """Whether the connector is just writing to such a relation."""
    return bool(
        world.execute(
            "select 1 from pg_stat_activity"
            " where application_name = 'firstclick connector'"
            " and datname = current_database()"
            " and xact_start is not null and state = 'active' and query ~* %s",
            [rf"^\s*(copy|update|delete).*{relation}"],
        )
    )


def test_ten_kills_in_mid_batch_lose_and_double_nothing(servers: Pipeline) -> None:
    random = seeded()
    with new_world(servers) as world:
        world.execute(SLOW_OFFSETS)
        world.create_topic("clicks")
        world.create_topic("purchases")
        with load(world, random):
            for number in range(10):
                connector = world.start("connector")
                connector.says("reading purchases")
                relation = ("raw_", "kafka_offsets")[number % 2]
                eventually(partial(is_writing, world, relation), "it writes")
                time.sleep(random.random() * 0.01)
                connector.kill()
        assert len(world.sent["clicks"]) > 1_000
        world.start("connector")
        world.assert_carried()


def kill_server(home: Path, name: str) -> None:
    """SIGKILL a server, and wait until its supervisor has started another one."""
    state = Home(home).state
    assert state is not None
    process = state.children[name].process
    os.kill(process.pid, signal.SIGKILL)

    def is_replaced() -> bool:
        state = Home(home).state
        assert state is not None
        child = state.children[name]
        return child.running and child.process != process

    eventually(is_replaced, f"{name} started again")


def test_killed_servers_lose_and_double_nothing(
    make_home: Callable[[], Path],
) -> None:
    random = seeded()
    home = make_home()
    own = Settings.load().model_copy(
        update={"home": home, "database_url": None, "kafka_bootstrap_servers": None}
    )
    servers = stacks.start(own, detach=False, servers_only=True).pipeline
    with new_world(servers) as world:
        world.create_topic("clicks")
        world.create_topic("purchases")
        connector = world.start("connector")
        for name, subject in (("postgres", "PostgreSQL"), ("kafka", "Kafka")):
            with load(world, random):
                eventually(world.sent["clicks"].__len__, "something sent")
                kill_server(home, name)
            connector.says(f"{subject}: works again")
        world.assert_carried()
        assert connector.terminate() == 0
