"""An offset means nothing without the log that it counts."""

import time
from collections.abc import Iterator

import pytest

from firstclick.core.cluster import describe_topics
from firstclick.core.pipeline import Pipeline
from worker_world import PATIENCE, World, eventually, new_world, seeded

pytestmark = pytest.mark.timeout(180)

OWN_STAMPS = {
    "message_timestamp_type": "CreateTime",
    "message_timestamp_after_max_ms": str(2**63 - 1),
    "retention_ms": "-1",
}
"""A topic whose producers stamp the messages."""

Messages = list[tuple[bytes | None, bytes | None]]


@pytest.fixture
def world(servers: Pipeline) -> Iterator[World]:
    with new_world(servers) as world:
        world.create_topic("clicks")
        world.create_topic("purchases", 2)
        yield world


def numbered(first: int, end: int, payload: bytes = b"1") -> Messages:
    return [(b"%d" % number, payload) for number in range(first, end)]


def held(world: World, topic: str = "clicks") -> dict[bytes | None, bytes | None]:
    """The table's payloads by key."""
    return {key: payload for _, _, key, payload in world.rows(topic)}


def await_held(world: World, expected: dict[bytes, bytes]) -> None:
    eventually(world.is_caught_up, "all messages read")
    eventually(lambda: held(world) == expected, "the table equals what was sent")


def lost(world: World) -> int:
    ((count,),) = world.execute(
        "select coalesce(sum(lost_messages), 0)::bigint from {schema}.kafka_offsets"
    )
    return int(count)


@pytest.mark.parametrize(("partitions", "runs"), [(1, False), (3, True), (5, False)])
def test_a_topic_that_is_created_again_is_read_from_its_beginning(
    world: World, partitions: int, runs: bool
) -> None:
    world.send("clicks", numbered(0, 300))
    connector = world.start("connector")
    world.assert_carried()
    if not runs:
        connector.terminate()
    world.delete_topic("clicks")
    world.create_topic("clicks", partitions)
    # More than the old one held, so that its offsets tell nothing
    again: Messages = [*numbered(100, 1_000, b"2"), *numbered(0, 50, b"3")]
    again += [(b"%d" % number, None) for number in range(50, 60)]
    world.send("clicks", again)
    if not runs:
        connector = world.start("connector")
    await_held(
        world,
        {b"%d" % n: b"3" for n in range(50)}
        | {b"%d" % n: b"1" for n in range(60, 100)}
        | {b"%d" % n: b"2" for n in range(100, 1_000)},
    )
    connector.says("topic clicks was deleted and created again")
    assert world.execute(
        "select count(*) from {schema}.kafka_offsets where topic = 'clicks'"
    ) == [(partitions,)]
    assert lost(world) == 0

    # And once more, with less than there was
    connector.terminate()
    world.delete_topic("clicks")
    world.create_topic("clicks")
    world.send("clicks", numbered(0, 1, b"4"))
    world.start("connector").says("topic clicks was deleted and created again")
    eventually(lambda: held(world)[b"0"] == b"4", "the newest message")
    assert len(held(world)) == 990


def test_messages_without_a_key_outlive_their_topic(servers: Pipeline) -> None:
    with new_world(servers) as world:
        world.create_topic("clicks", 1, cleanup_policy="delete")
        world.create_topic("purchases", cleanup_policy="delete")
        world.send("clicks", [(None, b"%d" % number) for number in range(5)])
        connector = world.start("connector")
        world.assert_carried()
        for generation in (1, 2):
            connector.terminate()
            world.delete_topic("clicks")
            world.create_topic("clicks", 1, cleanup_policy="delete")
            world.send("clicks", [(None, b"%d" % n) for n in range(5 + generation)])
            connector = world.start("connector")
            eventually(
                lambda: len(world.rows("clicks")) == sum(range(5, 6 + generation)),  # noqa: B023
                "the messages of all generations",
            )


def again_with(world: World, common: int, messages: Messages) -> None:
    """Let Kafka have lost all messages of a partition after the first few.

    It has others at their offsets. The topic is another one with the same beginning,
    whose id the database is told.
    """
    sent = [(key, payload) for _, _, key, payload in sorted(world.sent["clicks"])]
    world.delete_topic("clicks")
    world.create_topic("clicks", 1, **OWN_STAMPS)
    for number, message in enumerate(sent[:common]):
        world.send("clicks", [message], 0, 1_000_000 + number)
    world.send("clicks", messages, 0, 2_000_000)
    name = f"{world.prefix}clicks"
    topic = eventually(
        lambda: describe_topics(world.admin, [name], PATIENCE).get(name), "the topic"
    )
    world.execute(
        "update {schema}.kafka_offsets set topic_id = %s where topic = 'clicks'",
        [topic.id],
    )


def read_at_first(world: World, count: int, key: bytes | None = None) -> None:
    """Have a connector read so many messages of a partition, and stop it."""
    world.delete_topic("clicks")
    world.create_topic("clicks", 1, **OWN_STAMPS)
    for number in range(count):
        world.send("clicks", [(key or b"%d" % number, b"1")], 0, 1_000_000 + number)
    connector = world.start("connector")
    world.assert_carried()
    assert connector.terminate() == 0


@pytest.mark.parametrize(
    ("common", "more"), [(0, 300), (1, 0), (50, 1), (50, 300), (99, 0)]
)
def test_what_kafka_has_in_place_of_lost_messages_is_read(
    world: World, common: int, more: int
) -> None:
    read_at_first(world, 100)
    messages: Messages = [(b"new %d" % number, b"2") for number in range(more)]
    messages += [(b"99", b"2")] if more else []
    again_with(world, common, messages)
    connector = world.start("connector")
    connector.says("Kafka lost messages that were read, up to offset 99")
    await_held(
        world,
        {b"%d" % n: b"1" for n in range(100)}
        | {key: payload for key, payload in messages if key and payload},
    )
    # It is settled: the next start goes on where this one ended
    connector.terminate()
    world.send("clicks", [(b"last", b"3")], 0)
    second = world.start("connector")
    eventually(lambda: held(world).get(b"last") == b"3", "the last message")
    assert "Kafka lost messages" not in second.log


def test_a_log_that_goes_on_is_not_read_again(world: World) -> None:
    read_at_first(world, 100)
    again_with(world, 100, [(b"99", b"2"), (b"new", b"2")])
    connector = world.start("connector")
    world.assert_carried()
    assert "Kafka lost messages" not in connector.log


@pytest.mark.parametrize("is_the_same", [True, False])
def test_a_database_of_an_older_version_is_compared_by_its_messages(
    world: World, is_the_same: bool
) -> None:
    read_at_first(world, 100)
    again_with(world, 100 if is_the_same else 0, numbered(50, 250, b"2"))
    world.execute(
        "update {schema}.kafka_offsets"
        " set topic_id = null, last_offset = null, last_digest = null"
    )
    connector = world.start("connector")
    await_held(
        world,
        {b"%d" % n: b"1" for n in range(50)}
        | {b"%d" % n: b"2" for n in range(50, 250)},
    )
    assert ("is another Kafka's" in connector.log) is not is_the_same


def test_kafka_that_comes_back_with_less_is_noticed(world: World) -> None:
    """Also where nothing is sent, and the offsets alone tell."""
    read_at_first(world, 100, b"the same key")
    again_with(world, 40, [])
    connector = world.start("connector")
    connector.says("Kafka lost messages that were read, up to offset 99")
    eventually(world.is_caught_up, "all messages read")
    world.send("clicks", [(b"the same key", b"2")], 0)
    await_held(world, {b"the same key": b"2"})
    assert connector.process.poll() is None


@pytest.mark.parametrize("runs", [False, True], ids=["stopped", "running"])
def test_of_messages_in_two_partitions_the_later_one_counts(
    world: World, runs: bool
) -> None:
    random = seeded()
    if runs:
        world.start("connector")
    world.send("clicks", numbered(0, 400))
    # These wait in front of what is older
    world.send("clicks", [(b"padding", random.randbytes(9_000))] * 1_000)
    world.send("clicks", numbered(400, 800))
    world.add_partitions("clicks", 6)
    world.send("clicks", numbered(0, 300, b"2"))
    world.send("clicks", [(b"%d" % number, None) for number in range(300, 800)])
    world.send("clicks", numbered(700, 800, b"3"))
    world.start("connector")
    eventually(world.is_caught_up, "all messages read")
    found = {key: payload for key, payload in held(world).items() if key != b"padding"}
    assert found == (
        {b"%d" % number: b"2" for number in range(300)}
        | {b"%d" % number: b"3" for number in range(700, 800)}
    )


def test_a_message_that_is_older_than_a_deletion_stays_deleted(world: World) -> None:
    """Whichever of the two partitions is read first, and across a restart."""
    world.delete_topic("clicks")
    world.create_topic("clicks", 2, **OWN_STAMPS)
    connector = world.start("connector")
    # What was long ago would be forgotten: all that came before it has been read
    now = time.time_ns() // 1_000_000
    world.send("clicks", [(b"a", None), (b"b", None), (b"c", None)], 0, now)
    eventually(world.is_caught_up, "the deletions read")
    connector.kill()
    world.send("clicks", [(b"a", b"older")], 1, now - 1_000)
    world.send("clicks", [(b"b", b"newer"), (b"c", b"newer")], 1, now + 1_000)
    world.send("clicks", [(b"c", b"older still")], 0, now + 500)
    world.start("connector")
    await_held(world, {b"b": b"newer", b"c": b"newer"})


def test_a_message_between_a_deletion_and_the_newest_one_changes_nothing(
    world: World,
) -> None:
    world.delete_topic("clicks")
    world.create_topic("clicks", 2, **OWN_STAMPS)
    world.start("connector")
    now = time.time_ns() // 1_000_000
    world.send("clicks", [(b"a", None)], 0, now)
    eventually(world.is_caught_up, "the deletion read")
    world.send("clicks", [(b"a", b"newest")], 1, now + 2_000)
    await_held(world, {b"a": b"newest"})
    world.send("clicks", [(b"a", b"between")], 0, now + 1_000)
    await_held(world, {b"a": b"newest"})


def test_of_two_messages_with_one_stamp_the_higher_partition_counts(
    world: World,
) -> None:
    world.delete_topic("clicks")
    world.create_topic("clicks", 3, **OWN_STAMPS)
    world.start("connector")
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        key = b"%d%d%d" % order
        for partition in order:
            world.send("clicks", [(key, b"%d" % partition)], partition, 1_000)
            eventually(world.is_caught_up, "the message read")
    await_held(world, {b"012": b"2", b"210": b"2", b"120": b"2"})


def test_a_topic_that_goes_with_deletions_remembered_is_waited_for(
    world: World,
) -> None:
    connector = world.start("connector")
    world.send("clicks", [(b"a", b"1"), (b"b", b"1"), (b"a", None)])
    eventually(lambda: held(world) == {b"b": b"1"}, "the deletion")
    assert world.execute("select topic from {schema}.kafka_tombstones") == [("clicks",)]
    world.delete_topic("clicks")
    connector.says("topic clicks is not there; waiting for it")
    world.send("purchases", [(b"c", b"1")])
    eventually(lambda: held(world, "purchases") == {b"c": b"1"}, "the purchase")
    assert connector.process.poll() is None


def test_deletions_are_forgotten_when_all_is_read_beyond_them(world: World) -> None:
    world.start("connector")
    world.send("clicks", [(b"a", b"1"), (b"b", b"1")])
    world.send("clicks", [(b"a", None)])
    eventually(lambda: held(world) == {b"b": b"1"}, "the deletion")
    # As if it had been long ago
    world.execute("update {schema}.kafka_tombstones set kafka_time = '2020-01-01'")
    eventually(
        lambda: not world.execute("select from {schema}.kafka_tombstones"), "forgotten"
    )


def test_messages_that_kafka_deleted_unread_are_counted(world: World) -> None:
    world.send("clicks", numbered(0, 10), 0)
    world.send("clicks", numbered(10, 30), 1)
    world.delete_records("clicks", 1, 12)
    connector = world.start("connector")
    eventually(world.is_caught_up, "all messages read")
    # What was gone before anybody asked for it isn't lost
    assert lost(world) == 0
    connector.terminate()

    world.send("clicks", numbered(30, 50), 0)
    world.delete_records("clicks", 0, 25)
    world.add_partitions("clicks", 4)
    world.send("clicks", numbered(50, 60), 3)
    world.delete_records("clicks", 3, 4)
    connector = world.start("connector")
    connector.says("clicks 0: offsets 10 to 24 are gone")
    connector.says("clicks 3: offsets 0 to 3 are gone")
    eventually(world.is_caught_up, "all messages read")
    assert lost(world) == 15 + 4
    connector.terminate()

    # It is not forgotten with the topic
    world.delete_topic("clicks")
    world.create_topic("clicks", 2)
    world.send("clicks", numbered(0, 5), 0)
    world.start("connector").says("reading clicks: 2 partitions")
    assert lost(world) == 19
    ((noticed,),) = world.execute(
        "select count(lost_at) from {schema}.kafka_offsets where lost_messages > 0"
    )
    assert noticed == 1


@pytest.mark.parametrize("stamp", [-(2**62), 2**62, -62_135_596_800_001])
def test_a_stamp_outside_the_calendar_stops_nothing(world: World, stamp: int) -> None:
    world.delete_topic("clicks")
    world.create_topic(
        "clicks",
        **OWN_STAMPS,
    )
    connector = world.start("connector")
    world.send("clicks", [(b"a", b"1"), (b"b", None)], 0, stamp)
    world.send("clicks", [(b"a", None), (b"b", b"2")], 0, stamp)
    world.send("clicks", [(b"c", b"3")], 1)
    await_held(world, {b"b": b"2", b"c": b"3"})
    ((year,),) = world.execute(
        "select extract(year from min(kafka_time)) from {schema}.raw_clicks"
    )
    assert 1 <= year <= 9999
    connector.kill()
    world.send("clicks", [(b"d", b"4")], 0, stamp)
    world.start("connector")
    await_held(world, {b"b": b"2", b"c": b"3", b"d": b"4"})
