"""Checks that Kafka still has the log that was read, and finds where to resume if not.

Kafka reports no error in three cases: somebody deletes a topic and creates it again; a
broker loses its last messages in a power failure and gives their offsets to new
messages; somebody restores a database beside another Kafka. So before the connector
resumes, it compares the topic's id and the last message that it read with what Kafka
has now.

If a partition lost its end, the connector reads it again from the last message that
Kafka and the database have in common. For example, if the database has offsets 0 to 99
and a power failure took those from 90 on, the connector resumes at offset 90. Reading a
message twice does no harm, because writing it is an upsert.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from firstclick.core.cluster import TopicDescription
from firstclick.workers.connector.batch import PartitionId, digest, time_of
from firstclick.workers.connector.offsets import Offsets, StoredMessage, StoredOffset
from firstclick.workers.connector.source import Partitions, Source

WITNESSES = 5
"""How many stored messages to look for if compaction removed the last one read."""


@dataclass
class Difference:
    """How a topic in Kafka differs from the one that was read."""

    is_another: bool = False
    """True if the topic was created again, or belongs to another cluster."""
    lost_from: dict[int, int] = field(default_factory=dict)
    """By partition, the offset from which Kafka has other messages than the database,
    or none."""


@dataclass(frozen=True)
class Logs:
    """The topics that exist in Kafka, with the range of offsets that each holds."""

    topics: Mapping[str, TopicDescription]
    earliest: Partitions
    """The first offset that each partition still has."""
    latest: Partitions
    """The offset after the last message of each partition."""

    @classmethod
    def of(cls, source: Source) -> "Logs":
        """Ask Kafka for its topics and their offsets. Raises KafkaException."""
        topics = source.describe()
        partitions = {name: topic.partitions for name, topic in topics.items()}
        return cls(
            topics, source.earliest(partitions), source.high_watermarks(partitions)
        )

    def holds(self, at: PartitionId, offset: int) -> bool:
        """Return whether the offset lies within the partition's range."""
        topic, number = at
        return self.earliest[topic][number] <= offset < self.latest[topic][number]

    def are_shorter(self, stored: Mapping[PartitionId, StoredOffset]) -> bool:
        """Return whether any partition ends before the offset that was reached."""
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
    """Find the topics that differ from the ones that were read, and say how.

    Raises KafkaException and psycopg.Error.
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
        """Return the partitions whose log is not the one that was read."""
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
        """Compare earlier messages, because the last one is gone or unknown."""
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
        """Return the offset after the last message that Kafka and the database share.

        None if they share none. The search goes back in steps of doubling length until
        it finds a common message, then bisects between that one and the first that
        differs.
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
        """Return whether Kafka has that message; None if compaction may have taken it.

        That is if the offset is within Kafka's range, but holds no message.
        """
        if not self._logs.holds(at, stored.offset):
            return False
        message = self._source.messages_at({at: stored.offset})[at]
        if message is None or message.offset() != stored.offset:
            return None
        return (message.key(), time_of(message)) == (stored.key, stored.time)
