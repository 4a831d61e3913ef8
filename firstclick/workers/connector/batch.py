"""Batches: the newest message of each key, out of the messages of one poll."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message

LONGEST_INDEXED_KEY = 2_600
"""Bytes. A PostgreSQL B-tree entry holds at most 2,704 (BTMaxItemSize), and the topic's
name and the entry's header take some of them."""

FIRST_TIME, LAST_TIME = -62_135_596_800_000, 253_402_300_799_999
"""0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z in milliseconds since 1970.

If producers stamp the messages, a timestamp can be any 64-bit number. PostgreSQL and
Python both support these years, so the connector stores a time outside them as the
nearer bound."""

POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01T00:00:00Z in microseconds since 1970. PostgreSQL's binary format counts
from there."""

PartitionId = tuple[str, int]
"""A topic, without the pipeline's prefix, and a partition number."""

Position = tuple[int, int, int]
"""Partition, offset, and Kafka's timestamp in microseconds since 2000.

A negative partition belongs to a log that Kafka no longer has: see
firstclick.workers.connector.resume."""

Row = tuple[bytes | None, bytes | None, int, int, int]
"""Key, payload, and the three parts of the message's `Position`."""


@dataclass(slots=True)
class Progress:
    """How far the connector has read a partition."""

    stored: int
    """The next offset to read, according to the table kafka_offsets."""
    reached: int
    """The offset after the last message taken from Kafka."""
    high_watermark: int
    """The offset after the partition's last message, when Kafka was last asked."""
    newest_time: int | None = None
    """Kafka's timestamp of the last message taken, in microseconds since 2000."""
    last: Message | None = None
    """The last message taken since the session began."""


@dataclass(slots=True)
class TopicBatch:
    """The changes that a batch makes to one topic's table."""

    latest: dict[bytes, Row] = field(default_factory=dict)
    """The newest message of each key, by its ``indexed_key``. A payload of None is a
    tombstone."""
    keyless: list[Row] = field(default_factory=list)
    """Messages without a key. They never replace each other."""
    taken: int = 0
    """How many messages Kafka delivered, including those that newer ones replaced."""


class PartitionError(Exception):
    """Kafka delivered an error instead of a message."""

    def __init__(self, error: KafkaError, message: Message) -> None:
        remedy = ""
        if error.code() == KafkaError._BAD_COMPRESSION:
            remedy = (
                "; this batch is damaged, or far larger than it looks: to go on behind "
                "it, set next_offset in kafka_offsets to the offset after its last one"
            )
        super().__init__(
            f"{message.topic()} {message.partition()}: {error.str()}{remedy}"
        )


def compact_batch(
    messages: Iterable[Message],
    topics: Mapping[str, str],
    progress: Mapping[str, Mapping[int, Progress]],
) -> dict[str, TopicBatch]:
    """Return the changes that the messages make, by topic, and update ``progress``.

    For example, three messages with one key become a single row: the newest. ``topics``
    maps each topic's name in Kafka to its name without prefix.

    A message before the offset already reached is skipped, because librdkafka may still
    have it in its queue after a change of position. The end of a partition counts as
    progress, because the offsets before it may belong to messages that Kafka never
    delivers, such as those of aborted transactions.

    Raises PartitionError if Kafka delivered an error.
    """
    batches = {topic: TopicBatch() for topic in progress}
    targets = {name: (progress[at], batches[at]) for name, at in topics.items()}
    for message in messages:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise PartitionError(error, message)
        partitions, batch = targets[message.topic()]  # type: ignore[index]
        partition: int = message.partition()  # type: ignore[assignment]
        offset: int = message.offset()  # type: ignore[assignment]
        reached = partitions[partition]
        if error is not None:
            reached.reached = max(reached.reached, offset)
            continue
        if offset < reached.reached:
            continue
        key = message.key()
        payload = message.value()
        time = time_of(message)
        reached.reached = offset + 1
        reached.newest_time = time
        reached.last = message
        batch.taken += 1
        if key is not None:
            row = (key, payload, partition, offset, time)
            if len(key) > LONGEST_INDEXED_KEY:
                key = indexed_key(key)
            earlier = batch.latest.get(key)
            if earlier is None or is_newer(row[2:], earlier[2:]):
                batch.latest[key] = row
        elif payload is not None:
            batch.keyless.append((key, payload, partition, offset, time))
    return batches


def is_newer(message: Position, other: Position) -> bool:
    """Return whether a message replaces another one with the same key.

    Within a partition, the greater offset wins. A key can be in two partitions if
    somebody added partitions to the topic, because the key then hashes to another one.
    Between partitions, the later Kafka timestamp wins, then the higher partition number
    (the specification, "Events").
    """
    if message[0] == other[0]:
        return message[1] > other[1]
    if other[0] < 0:
        return True
    return (message[2], message[0]) > (other[2], other[0])


def time_of(message: Message) -> int:
    """Return Kafka's timestamp of the message, in microseconds since 2000."""
    milliseconds = message.timestamp()[1]
    return min(max(milliseconds, FIRST_TIME), LAST_TIME) * 1000 - POSTGRES_EPOCH


def digest(message: Message) -> bytes:
    """Return a SHA-256 that identifies this message among all others at its offset."""
    key, payload = message.key(), message.value()
    hashed = hashlib.sha256(time_of(message).to_bytes(8, signed=True))
    for part in (key, payload):
        hashed.update(b"-" if part is None else b"+%d:" % len(part) + part)
    return hashed.digest()


def indexed_key(key: bytes) -> bytes:
    """Return the form in which a table's index stores a message key.

    A key of at most ``LONGEST_INDEXED_KEY`` bytes is stored unchanged. A longer one is
    stored as its SHA-256 followed by its beginning, one byte longer than the limit, so
    that it can't equal a key that is stored unchanged. INDEXED_KEY in
    firstclick.workers.connector.tables and the macro `indexed_key` implement the same
    rule in SQL.
    """
    if len(key) <= LONGEST_INDEXED_KEY:
        return key
    digest = hashlib.sha256(key).digest()
    return digest + key[: LONGEST_INDEXED_KEY + 1 - len(digest)]
