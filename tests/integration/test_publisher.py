"""The topic checkouts against the relation, with real servers."""

import json
from collections.abc import Iterator
from decimal import Decimal
from random import Random

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from firstclick import oracle
from firstclick.core.cluster import describe_topics
from firstclick.core.database import connect
from firstclick.core.pipeline import Pipeline
from firstclick.workers.published import publish_again
from worker_world import PATIENCE, World, eventually, new_world, seeded

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def world(servers: Pipeline) -> Iterator[World]:
    with new_world(servers, "publisher") as world:
        yield world


def change(world: World, random: Random, version: int) -> None:
    """Insert, update and delete some checkouts; quantity is the version."""
    ids = [f"purchase {random.randrange(300)}" for _ in range(random.randrange(1, 60))]
    if random.random() < 0.3:
        world.execute(
            "delete from {schema}.checkouts where purchase_id = any(%s)", [ids]
        )
    else:
        world.upsert_checkouts(
            set(ids),
            source=random.choice(["Google", "Ünknöwn", None]),
            quantity=version,
            total_cost=Decimal(
                f"{random.randrange(10**9)}.{random.randrange(1000):03}"
            ),
        )


def assert_published(world: World) -> None:
    """Wait until the outbox is empty, then compare topic and relation."""
    try:
        eventually(
            lambda: (
                world.execute("select count(*) from {schema}.checkouts_changes")
                == [(0,)]
            ),
            "the outbox is empty",
        )
    except AssertionError:
        print(*(worker.log for worker in world.workers), sep="\n")
        raise
    last = dict(world.published())
    assert sorted(
        tuple(json.loads(value).values()) for value in last.values() if value
    ) == sorted(world.execute("select * from {schema}.checkouts_topic"))
    for key, value in last.items():
        if value is not None:
            checkout = json.loads(value)
            assert list(checkout) == list(oracle.Checkout._fields)
            assert checkout["purchase_id"].encode() == key


def assert_in_order(world: World) -> None:
    """Check that no key's version ever went back."""
    versions: dict[bytes, int] = {}
    for key, value in world.published():
        if value is not None:
            version = json.loads(value)["quantity"]
            assert version >= versions.get(key, 0)
            versions[key] = version


def test_the_last_message_of_each_key_is_the_relation(world: World) -> None:
    random = seeded()
    world.create_topic("checkouts")
    for version in range(100):
        change(world, random, version)
        if version == 30:
            publisher = world.start("publisher")
    assert_published(world)
    assert_in_order(world)
    assert publisher.terminate() == 0


def test_a_deleted_checkout_is_a_tombstone(world: World) -> None:
    world.create_topic("checkouts")
    world.start("publisher")
    world.upsert_checkouts(["a"])
    assert_published(world)
    world.execute("delete from {schema}.checkouts")
    assert_published(world)
    first, second = world.published()
    assert first == (
        b"a",
        b'{"purchase_id":"a","user_id":"u","product_id":"p","click_id":null,'
        b'"product_name":"Hat","category":"Things","brand":"Plain","gender":"Female",'
        b'"payment_method":"Visa","payment_status":"success","failure_reason":null,'
        b'"click_at":null,"source":null,"quantity":1,"total_cost":"1.50",'
        b'"profit":"0.25","purchase_time":"2026-11-23T18:04:05.123Z",'
        b'"click_time":null}',
    )
    assert second == (b"a", None)


def test_kills_lose_no_change_and_keep_the_order(world: World) -> None:
    random = seeded()
    world.create_topic("checkouts")
    for version in range(60):
        change(world, random, version)
        if version % 10 == 0:
            publisher = world.start("publisher")
            publisher.says("publishing to")
        if version % 10 == 9:
            publisher.kill()
    world.start("publisher")
    assert_published(world)
    assert_in_order(world)


def test_a_second_publisher_waits_and_takes_over(world: World) -> None:
    world.create_topic("checkouts")
    first = world.start("publisher")
    first.says("publishing to")
    second = world.start("publisher")
    second.says("another firstclick publisher")
    first.kill()
    world.upsert_checkouts(["a"])
    assert_published(world)
    assert second.terminate() == 0


def test_nothing_is_forgotten_while_the_topic_is_missing(world: World) -> None:
    world.upsert_checkouts(["a"])
    publisher = world.start("publisher")
    publisher.says("create the topic")
    assert world.execute("select count(*) from {schema}.checkouts_changes") == [(1,)]
    world.create_topic("checkouts")
    assert_published(world)
    publisher.says("Kafka: works again")


def test_relations_that_are_made_again_are_waited_for(world: World) -> None:
    world.create_topic("checkouts")
    publisher = world.start("publisher")
    world.upsert_checkouts(["a"])
    assert_published(world)
    world.execute("alter view {schema}.checkouts_topic rename to elsewhere")
    world.upsert_checkouts(["b"])
    eventually(
        lambda: "checkouts_topic in the database, found none" in publisher.log,
        "it is told what is missing",
    )
    world.execute("alter view {schema}.elsewhere rename to checkouts_topic")
    assert_published(world)
    assert publisher.terminate() == 0


def test_a_message_too_large_waits_for_a_larger_limit(world: World) -> None:
    random = seeded()
    world.create_topic("checkouts", max_message_bytes="10000")
    world.upsert_checkouts(["a"], source=random.randbytes(50_000).hex())
    world.upsert_checkouts(["b"])
    publisher = world.start("publisher")
    publisher.says("raise the topic's max.message.bytes")
    assert world.execute("select count(*) from {schema}.checkouts_changes") == [(2,)]
    larger = ConfigEntry(
        "max.message.bytes", "1000000", incremental_operation=AlterConfigOpType.SET
    )
    topic = ConfigResource(
        ResourceType.TOPIC,
        f"{world.prefix}checkouts",
        incremental_configs=[larger],
    )
    for altered in world.admin.incremental_alter_configs([topic]).values():
        altered.result(PATIENCE)
    assert_published(world)


def add(world: World, count: int) -> None:
    world.upsert_checkouts(f"purchase {number}" for number in range(1, count + 1))


@pytest.mark.parametrize("runs", [False, True], ids=["stopped", "running"])
def test_a_topic_that_is_created_again_gets_all_checkouts(
    world: World, runs: bool
) -> None:
    world.create_topic("checkouts")
    publisher = world.start("publisher")
    add(world, 500)
    assert_published(world)
    for partitions in (1, 4):
        if not runs:
            publisher.terminate()
        world.delete_topic("checkouts")
        world.create_topic("checkouts", partitions)
        if not runs:
            publisher = world.start("publisher")
        eventually(lambda: len(dict(world.published())) == 500, "all published again")
        assert_published(world)
    publisher.says("publishing all checkouts again")


def test_what_kafka_lost_of_the_topic_is_published_again(world: World) -> None:
    """Also the tombstones: what is no checkout any more is deleted."""
    world.create_topic("checkouts")
    publisher = world.start("publisher")
    add(world, 50)
    assert_published(world)
    publisher.terminate()
    world.delete_topic("checkouts")
    world.create_topic("checkouts")
    world.publish([(b"purchase 1", b"{}"), (b"gone", b"{}"), (b"\xff", b"{}")])
    world.execute("delete from {schema}.checkouts where purchase_id = 'purchase 2'")
    # As if it were the same topic, whose end is lost
    name = f"{world.prefix}checkouts"
    topic = describe_topics(world.admin, [name], PATIENCE)[name]
    world.execute("update {schema}.checkouts_published set topic_id = %s", [topic.id])
    world.start("publisher").says("publishing all checkouts again")
    eventually(lambda: dict(world.published()).get(b"gone", b"") is None, "a tombstone")
    last = dict(world.published())
    last.pop(b"\xff")
    assert sorted(key for key, value in last.items() if value is not None) == sorted(
        b"purchase %d" % number for number in range(1, 51) if number != 2
    )


def test_the_owner_can_have_all_checkouts_published_again(world: World) -> None:
    world.create_topic("checkouts")
    world.start("publisher")
    add(world, 50)
    assert_published(world)
    before = len(world.published())
    with connect(world.database_url, autocommit=True) as connection:
        publish_again(connection, world.schema)
    eventually(lambda: len(world.published()) == before + 50, "all published again")
    assert_published(world)
