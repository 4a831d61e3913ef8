"""Whether Kafka still has the log that was read, and where to go on if not.

Three things end a log without an error from Kafka: somebody deletes a topic and
creates it again; a broker loses its last messages in a power failure, and gives their
offsets to new ones; a database is restored beside another Kafka. So before reading goes
on, the topic's id and the last message that was read are compared with what Kafka has
there. A partition that lost its end is read again from the last message that it has in
common with the database: to read a message again is an upsert.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from firstclick.core.cluster import TopicDescription
from firstclick.workers.connector.batch import PartitionId, digest, time_of
from firstclick.workers.connector.offsets import Offsets, StoredMessage, StoredOffset
from firstclick.workers.connector.source import Partitions, Source

WITNESSES = 5
"""Stored messages to look for where compaction took the last one that was read."""


@dataclass
class Difference:
    """In what a topic is not what was read."""

    is_another: bool = False
    """It was created again, or it is one of another cluster."""
    lost_from: dict[int, int] = field(default_factory=dict)
    """The offset, by partition, from which on Kafka has other messages, or none."""


@dataclass(frozen=True)
class Logs:
    """What Kafka holds of the topics that exist."""

    topics: Mapping[str, TopicDescription]
    earliest: Partitions
    """The first offset that each partition still has."""
    latest: Partitions
    """The offset after the last message of each."""

    @classmethod
    def of(cls, source: Source) -> "Logs":
        """Ask Kafka. Raises KafkaException."""
        topics = source.describe()
        partitions = {name: topic.partitions for name, topic in topics.items()}
        return cls(
            topics, source.earliest(partitions), source.high_watermarks(partitions)
        )

    def holds(self, at: PartitionId, offset: int) -> bool:
        """Whether that offset is within what a partition has."""
        topic, number = at
        return self.earliest[topic][number] <= offset < self.latest[topic][number]

    def are_shorter(self, stored: Mapping[PartitionId, StoredOffset]) -> bool:
        """Whether a partition ends before what was read of it."""
        return any(
            at in stored and stored[at].next_offset > end
            for at, end in self._ends().items()
        )

    def _ends(self) -> dict[PartitionId, int]:
        return {
            (topic, number): end
            for topic, ends in self.latest.items()
            for number, end in ends.items()
        }


def compare(
    source: Source,
    offsets: Offsets,
    logs: Logs,
    stored: Mapping[PartitionId, StoredOffset],
) -> dict[str, Difference]:
    """Find the topics that are not what was read, or not all of it.

    Raises KafkaException, psycopg.Error.
    """
    found: dict[str, Difference] = {}
    same: dict[PartitionId, StoredOffset] = {}
    for (topic, number), offset in stored.items():
        now = logs.topics.get(topic)
        if now is None:
            continue
        if offset.topic_id is not None and now.id not in (None, offset.topic_id):
            found[topic] = Difference(is_another=True)
        elif number in now.partitions:
            same[topic, number] = offset
    comparison = _Comparison(source, offsets, logs)
    for topic, number in comparison.differing(same):
        difference = found.setdefault(topic, Difference())
        if difference.is_another:
            continue
        common = comparison.common_end(topic, number, same[topic, number])
        if common is None and same[topic, number].topic_id is None:
            difference.is_another = True
        else:
            first = logs.earliest[topic][number]
            difference.lost_from[number] = first if common is None else common
    return found


class _Comparison:
    def __init__(self, source: Source, offsets: Offsets, logs: Logs) -> None:
        self._source = source
        self._offsets = offsets
        self._logs = logs

    def differing(
        self, stored: Mapping[PartitionId, StoredOffset]
    ) -> list[PartitionId]:
        """Return the partitions whose last message is not the one that was read."""
        last = {
            at: offset.last_offset
            for at, offset in stored.items()
            if offset.last_offset is not None
            and self._logs.holds(at, offset.last_offset)
        }
        messages = self._source.messages_at(last)
        found = []
        for at, offset in stored.items():
            topic, number = at
            if offset.next_offset > self._logs.latest[topic][number]:
                found.append(at)
                continue
            message = messages.get(at)
            if message is not None and message.offset() == offset.last_offset:
                if digest(message) != offset.last_digest:
                    found.append(at)
            elif self._witness_differs(at, offset):
                found.append(at)
        return found

    def _witness_differs(self, at: PartitionId, offset: StoredOffset) -> bool:
        """Judge by other messages where the last one is gone or unknown."""
        topic, number = at
        first = self._logs.earliest[topic][number]
        for message in self._offsets.messages(
            topic, number, first, offset.next_offset, WITNESSES
        ):
            is_same = self._is_same(at, message)
            if is_same is not None:
                return not is_same
        return False

    def common_end(self, topic: str, number: int, offset: StoredOffset) -> int | None:
        """Return the offset after the last message that both have.

        None where they have none in common. It looks further and further back for one
        that is the same, then between it and the first that differs.
        """
        at = (topic, number)
        first = self._logs.earliest[topic][number]
        end, step = min(offset.next_offset, self._logs.latest[topic][number]), 1
        same = None
        while same is None:
            below = self._offsets.messages(topic, number, first, end, 1)
            if not below:
                return None
            if self._is_same(at, below[0]):
                same = below[0].offset
            else:
                end = max(below[0].offset - step, first)
                step *= 2
        between = self._offsets.messages(
            topic, number, same + 1, offset.next_offset, None
        )
        between.reverse()
        differ = bisect_left(
            between, True, key=lambda message: self._is_same(at, message) is False
        )
        return between[differ - 1].offset + 1 if differ else same + 1

    def _is_same(self, at: PartitionId, stored: StoredMessage) -> bool | None:
        """Whether Kafka has that message; None where it has none at its offset."""
        if not self._logs.holds(at, stored.offset):
            return False
        message = self._source.messages_at({at: stored.offset})[at]
        if message is None or message.offset() != stored.offset:
            return None
        return (message.key(), time_of(message)) == (stored.key, stored.time)
