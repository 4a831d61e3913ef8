"""The connector against real servers, with messages of every kind."""

from collections.abc import Iterator

import psycopg
import pytest
from confluent_kafka import Producer

from firstclick.core.cluster import Cluster
from firstclick.core.pipeline import Pipeline
from firstclick.workers.connector.batch import LONGEST_INDEXED_KEY, Progress
from firstclick.workers.connector.source import Source
from worker_world import PATIENCE, World, eventually, new_world, seeded

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def world(servers: Pipeline) -> Iterator[World]:
    with new_world(servers) as world:
        world.create_topic("clicks")
        world.create_topic("purchases", 2)
        yield world


def test_the_last_message_of_each_key_wins(world: World) -> None:
    random = seeded()

    def some(count: int) -> list[tuple[bytes, bytes | None]]:
        return [
            (
                b"key %d" % random.randrange(400),
                None if random.random() < 0.2 else random.randbytes(20),
            )
            for _ in range(count)
        ]

    world.send("clicks", some(2_000))
    world.start("connector")
    world.assert_carried()
    for _ in range(20):
        world.send("clicks", some(random.randrange(50)))
        world.send("purchases", some(random.randrange(50)))
    world.assert_carried()


def test_a_tombstone_deletes_the_row_of_its_key(world: World) -> None:
    world.start("connector")
    world.send("clicks", [(b"instead", None), (b"before", None), (b"before", b"1")])
    world.send("clicks", [(b"after", b"1"), (b"later", b"1")])
    world.send("clicks", [(b"after", None), (b"back", b"1")])
    world.assert_carried()
    world.send("clicks", [(b"later", None), (b"back", None), (b"back", b"2")])
    world.assert_carried()
    assert {row[2] for row in world.rows("clicks")} == {b"before", b"back"}


def test_any_bytes_are_a_payload_and_a_key(world: World) -> None:
    random = seeded()
    world.start("connector")
    world.send(
        "clicks",
        [
            (b"", b"an empty key"),
            (b"an empty payload", b""),
            (b"\xff\x00\xfe", b"\xc3\x28\x00\xff"),
            (b"a megabyte", random.randbytes(1_000_000)),
            (b"two", random.randbytes(2_000_000)),
            (b"null", b"null"),
            (random.randbytes(LONGEST_INDEXED_KEY), b"as long as an index can hold"),
            (random.randbytes(LONGEST_INDEXED_KEY + 1), b"longer by one"),
            (random.randbytes(500_000), b"as long as a payload"),
        ],
    )
    world.assert_carried()
    assert len(world.rows("clicks")) == 9


def test_keys_too_long_to_index_are_told_apart_and_stored_whole(world: World) -> None:
    random = seeded()
    keys = [b"k" * 2_000 + random.randbytes(8_000) for _ in range(3)]
    world.start("connector")
    world.send("clicks", [(key, b"1") for key in keys])
    world.send("clicks", [(keys[0], b"2"), (keys[1], None)])
    world.assert_carried()
    assert {row[2] for row in world.rows("clicks")} == {keys[0], keys[2]}


def test_many_large_messages_fit_into_bounded_batches(world: World) -> None:
    random = seeded()
    world.send(
        "purchases", [(b"%d" % i, random.randbytes(200_000)) for i in range(200)]
    )
    world.start("connector")
    world.assert_carried()


def test_messages_without_a_key_are_all_kept(servers: Pipeline) -> None:
    with new_world(servers) as world:
        world.create_topic("clicks", cleanup_policy="delete")
        world.create_topic("purchases", cleanup_policy="delete")
        world.send("clicks", [(None, b"1"), (None, b"1"), (None, None), (b"", b"2")])
        connector = world.start("connector")
        world.send("clicks", [(None, b""), (None, None), (b"k", b"3"), (None, b"1")])
        world.assert_carried()
        assert [row[3] for row in world.rows("clicks") if row[2] is None].count(
            b"1"
        ) == 3

        # Read once more, they are found to be there
        connector.terminate()
        world.execute("delete from {schema}.kafka_offsets")
        world.execute("delete from {schema}.written")
        world.start("connector")
        world.assert_carried()


def test_the_time_is_that_of_the_broker(world: World) -> None:
    world.send("clicks", [(b"a", b"1")])
    world.start("connector")
    world.assert_carried()
    (row,) = world.execute(
        "select kafka_time, newest_kafka_time, now() - kafka_time < interval '1 minute'"
        " from {schema}.raw_clicks"
        " inner join {schema}.kafka_offsets using (kafka_partition)"
        " where topic = 'clicks'"
    )
    assert row[0] == row[1]
    assert row[2]


def test_partitions_that_are_added_are_read(world: World) -> None:
    connector = world.start("connector")
    world.send("clicks", [(b"a", b"1")])
    world.assert_carried()
    world.add_partitions("clicks", 5)
    for partition in range(5):
        world.send("clicks", [(b"of %d" % partition, b"2")], partition)
    world.assert_carried()
    assert "reading clicks: 5 partitions" in connector.log


def test_a_pause_ends_with_the_assignment_that_it_was_made_in(world: World) -> None:
    ends = {partition: Progress(0, 0, 1) for partition in (0, 1)}
    for partition in ends:
        world.send("purchases", [(b"%d" % partition, b"{}")], partition)
    with Source(Cluster(world.servers), world.prefix) as source:

        def read(partitions: set[int]) -> None:
            seen: set[int | None] = set()

            def all_seen() -> bool:
                messages = source.take(0.1, 0.0)
                seen.update(m.partition() for m in messages if m.error() is None)
                return seen == partitions

            eventually(all_seen, f"messages of partitions {partitions}")

        source.assign({"purchases": ends})
        source.pause([("purchases", 0)])
        read({1})
        source.assign({"purchases": ends})
        read({0, 1})


def test_topics_that_come_later_are_read(servers: Pipeline) -> None:
    with new_world(servers) as world:
        connector = world.start("connector")
        connector.says("topic clicks is not there")
        world.create_topic("clicks")
        world.create_topic("purchases")
        world.send("clicks", [(b"a", b"1")])
        world.assert_carried()


def test_what_is_never_delivered_counts_as_read(world: World) -> None:
    producer = Producer(
        {
            "bootstrap.servers": world.servers,
            "transactional.id": world.prefix,
            "log_level": 0,
        }
    )
    producer.init_transactions(PATIENCE)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        for number in range(10):
            producer.produce(f"{world.prefix}clicks", b"1", b"%d" % number, 0)
        producer.flush(PATIENCE)
        end(PATIENCE)
    world.start("connector")
    eventually(
        lambda: world.execute(
            "select 1 from {schema}.kafka_offsets where topic = 'clicks'"
            " and kafka_partition = 0 and next_offset = 22 and high_watermark = 22"
        ),
        "offset 22 reached",
    )
    assert len(world.rows("clicks")) == 10


def test_the_comparison_with_kafka_is_renewed_when_nothing_comes(world: World) -> None:
    world.send("clicks", [(b"a", b"1")])
    world.start("connector")
    world.assert_carried()
    query = "select min(checked_at) from {schema}.kafka_offsets"
    ((before,),) = world.execute(query)
    eventually(lambda: world.execute(query)[0][0] > before, "a later comparison")


def test_a_second_connector_waits_and_takes_over(world: World) -> None:
    first = world.start("connector")
    world.send("clicks", [(b"a", b"1")])
    world.assert_carried()
    second = world.start("connector")
    second.says("another firstclick connector")
    assert "reading clicks" not in second.log
    first.kill()
    second.says("reading clicks")
    world.send("clicks", [(b"b", b"1")])
    world.assert_carried()
    assert second.terminate() == 0


def test_offsets_that_someone_changes_are_read_again(world: World) -> None:
    connector = world.start("connector")
    world.send("clicks", [(b"a", b"1"), (b"b", b"1")])
    world.assert_carried()
    world.execute("delete from {schema}.raw_clicks")
    world.execute("update {schema}.kafka_offsets set next_offset = 0")
    world.execute("delete from {schema}.written")
    connector.says("changed by someone else")
    eventually(lambda: world.rows("clicks") == world.expected("clicks"), "read again")


def test_what_kafka_no_longer_has_is_skipped_and_said(world: World) -> None:
    world.send("clicks", [(b"%d" % number, b"1") for number in range(10)], 0)
    connector = world.start("connector")
    world.assert_carried()
    assert connector.terminate() == 0
    world.send("clicks", [(b"%d" % number, b"2") for number in range(10)], 0)
    world.delete_records("clicks", 0, 15)
    connector = world.start("connector")
    connector.says("clicks 0: offsets 10 to 14 are gone")
    eventually(world.is_caught_up, "all messages read")
    assert [row[1] for row in world.rows("clicks")] == [0, 1, 2, 3, 4, *range(15, 20)]


def test_missing_tables_are_an_error_that_says_what_to_do(world: World) -> None:
    connector = world.start("connector", FIRSTCLICK_SCHEMA="test_none")
    assert connector.process.wait(PATIENCE) == 1
    (line,) = connector.log.splitlines()
    assert "expected test_none.raw_clicks in the database, found none" in line


def test_a_signal_ends_it_even_while_another_writer_holds_the_lock(
    world: World,
) -> None:
    connector = world.start("connector")
    world.send("clicks", [(b"a", b"1")])
    world.assert_carried()
    with psycopg.connect(world.database_url) as other:
        other.execute(f"select {world.schema}_maintenance.lock_writers()")
        world.send("clicks", [(b"b", b"1")])
        connector.says("waiting for another writer")
        assert connector.terminate() == 0
    assert len(world.rows("clicks")) == 1
    world.start("connector")
    world.assert_carried()


def test_a_batch_that_postgresql_refuses_is_said_and_tried_again(world: World) -> None:
    world.execute(
        "alter table {schema}.raw_clicks"
        " add constraint no_evil check (payload <> 'evil')"
    )
    connector = world.start("connector")
    world.send("clicks", [(b"a", b"evil"), (b"b", b"1")], 0)
    connector.says("refused clicks 0 offsets 0 to 1, of which nothing was stored", 2)
    world.execute("alter table {schema}.raw_clicks drop constraint no_evil")
    world.assert_carried()
    connector.says("PostgreSQL: works again")
