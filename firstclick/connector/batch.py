"""A batch: what is left of some messages when only the last of each key counts."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message

LONGEST_KEY = 1024
"""Bytes. PostgreSQL can't index more than about 2,700."""

LAST_TIME = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z in milliseconds; where the producer stamps messages, a time
can be anything, PostgreSQL's type can't."""

POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01T00:00:00Z in microseconds."""

Row = tuple[bytes | None, bytes | None, int, int, int]
"""Key, payload, partition, offset, and Kafka's time in microseconds since 2000."""


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


@dataclass(slots=True)
class TopicBatch:
    """What a batch changes in a topic's table."""

    latest: dict[bytes, Row] = field(default_factory=dict)
    """The last message of each key; a tombstone where the payload is None."""
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


def collapse(
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
        time = min(message.timestamp()[1], LAST_TIME) * 1000 - POSTGRES_EPOCH
        reached.reached = offset + 1
        reached.newest_time = time
        batch.taken += 1
        if key is not None:
            if len(key) > LONGEST_KEY:
                key = shortened(key)
            batch.latest[key] = (key, payload, partition, offset, time)
        elif payload is not None:
            batch.keyless.append((key, payload, partition, offset, time))
    return batches


def shortened(key: bytes) -> bytes:
    """Return what stands for a key that is too long to be indexed.

    That is the key's beginning and its SHA-256, LONGEST_KEY bytes in all. It is no
    event's id, so the event is rejected for a key that differs from it; it can still
    be replaced and deleted by its key.
    """
    digest = hashlib.sha256(key).digest()
    return key[: LONGEST_KEY - len(digest)] + digest
