"""A batch: what is left of some messages when only the last of each key counts."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message

LONGEST_INDEXED_KEY = 2_600
"""Bytes. An entry of PostgreSQL's B-tree has 2,704 at most (BTMaxItemSize), of which a
topic's name and the entry's head take some."""

FIRST_TIME, LAST_TIME = -62_135_596_800_000, 253_402_300_799_999
"""0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z in milliseconds since 1970.
Where producers stamp messages, a time can be any 64-bit number; PostgreSQL and Python
hold these years, so a time outside them is stored as the nearer of the two."""

POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01T00:00:00Z in microseconds."""

PartitionId = tuple[str, int]
"""A topic, without prefix, and the number of a partition."""

Position = tuple[int, int, int]
"""Partition, offset, and Kafka's time in microseconds since 2000. A partition below
zero is of a log that Kafka no longer has: see firstclick.workers.connector.resume."""

Row = tuple[bytes | None, bytes | None, int, int, int]
"""Key and payload, then the message's position."""


@dataclass(slots=True)
class Progress:
    """How far a partition has been read."""

    stored: int
    """The next offset to read, as kafka_offsets has it."""
    reached: int
    """The next offset after everything taken from Kafka."""
    high_watermark: int
    newest_time: int | None = None
    """Of the last message taken, in microseconds since 2000."""
    last: Message | None = None
    """The last message taken since the session began."""


@dataclass(slots=True)
class TopicBatch:
    """What a batch changes in a topic's table."""

    latest: dict[bytes, Row] = field(default_factory=dict)
    """The last message of each key, by its ``indexed_key``; a tombstone where the
    payload is None."""
    keyless: list[Row] = field(default_factory=list)
    taken: int = 0
    """How many messages there were."""


class PartitionError(Exception):
    """Kafka reported an error in place of a message."""

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
    """Return what the messages change, by topic, and note how far they reach.

    ``topics`` has each topic by its name in Kafka. A message from before what has been
    reached is skipped: librdkafka may have had it in its queue when the position was
    changed. The end of a partition counts as progress: behind the last message there
    may be others that are never delivered, of aborted transactions for example.

    Raises PartitionError.
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
    """Say whether a message replaces another with the same key.

    In one partition that is the one with the greater offset. Partitions that were added
    to a topic give a key another partition from then on: of messages in two partitions
    the one counts that Kafka stamped later, or that is in the partition with the higher
    number (the specification, "Events").
    """
    if message[0] == other[0]:
        return message[1] > other[1]
    if other[0] < 0:
        return True
    return (message[2], message[0]) > (other[2], other[0])


def time_of(message: Message) -> int:
    """Return when Kafka stamped the message, in microseconds since 2000."""
    milliseconds = message.timestamp()[1]
    return min(max(milliseconds, FIRST_TIME), LAST_TIME) * 1000 - POSTGRES_EPOCH


def digest(message: Message) -> bytes:
    """Return a SHA-256 that tells this message from any other at its offset."""
    key, payload = message.key(), message.value()
    hashed = hashlib.sha256(time_of(message).to_bytes(8, signed=True))
    for part in (key, payload):
        hashed.update(b"-" if part is None else b"+%d:" % len(part) + part)
    return hashed.digest()


def indexed_key(key: bytes) -> bytes:
    """Return what the index on a table's keys has for a key.

    That is the key itself, and for one that is too long its SHA-256 and its beginning,
    together a byte longer than any key that is indexed as it is. INDEXED_KEY in
    firstclick.workers.connector.tables says the same in SQL, and so does the macro
    `indexed_key`.
    """
    if len(key) <= LONGEST_INDEXED_KEY:
        return key
    digest = hashlib.sha256(key).digest()
    return digest + key[: LONGEST_INDEXED_KEY + 1 - len(digest)]
