"""The two Kafka topics, read from where the database says."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, Self

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ListOffsetsResultInfo,
    OffsetSpec,
)

from firstclick.core.cluster import (
    Cluster,
    LastError,
    TopicDescription,
    describe_topics,
)
from firstclick.workers.connector.batch import PartitionId, Progress

TOPICS = ("clicks", "purchases")

MOST_MESSAGES = 5_000
"""In a batch."""

MOST_BYTES = 8_000_000
"""Of payload in a batch, give or take one portion of messages."""

PORTION = 500
"""Messages taken at once from librdkafka's queue."""

QUEUE_KILOBYTES = 16_384
"""What librdkafka reads ahead. With a fetch under way (2 MB, or one message batch if
that is larger, either decompressed) and a batch, this bounds the connector's memory."""

LARGEST_BATCH = 512 * 1024 * 1024
"""Bytes of a message batch, decompressed. Of librdkafka's 100 MB, a few kilobytes of
zstd would be more, and stop a partition."""

REQUEST_SECONDS = 2.0
"""How long Kafka may take to answer a question about partitions."""

FETCH_SECONDS = 10.0
"""How long Kafka may take to deliver single messages that are asked for."""

Partitions = dict[str, dict[int, int]]
"""An offset by topic, without prefix, and partition."""


class Source:
    """A consumer without a group: partitions and offsets are given to it.

    Every method but ``take`` raises KafkaException when Kafka is not reachable.
    """

    def __init__(self, cluster: Cluster, prefix: str) -> None:
        self._names = {topic: prefix + topic for topic in TOPICS}
        self.topics = {name: topic for topic, name in self._names.items()}
        """The topics by their names in Kafka."""
        self._last_error = LastError()
        self._paused: set[tuple[str, int]] = set()
        client: dict[str, Any] = {
            **cluster.client(),
            "client.id": "firstclick-connector",
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 5_000,
            "error_cb": self._last_error.note,
            "log_level": 0,
        }
        self._config = client | {
            "group.id": "firstclick-connector",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "check.crcs": True,
            "fetch.min.bytes": 65_536,
            "fetch.wait.max.ms": 10,
            "fetch.error.backoff.ms": 100,
            "fetch.queue.backoff.ms": 10,
            "fetch.max.bytes": 2_097_152,
            "receive.message.max.bytes": LARGEST_BATCH,
            "max.partition.fetch.bytes": 262_144,
            "queued.min.messages": 2 * MOST_MESSAGES,
            "queued.max.messages.kbytes": QUEUE_KILOBYTES,
            "max.poll.interval.ms": 86_400_000,
        }
        self._consumer = Consumer(self._config)
        self._admin = AdminClient(client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def reason(self, error: KafkaException) -> str:
        """Say why a request failed: by librdkafka's latest complaint, if it has one."""
        self._admin.poll(0)
        return self._last_error.reason(error)

    @property
    def was_disconnected(self) -> bool:
        """Whether a connection to Kafka was in trouble since this was set to False.

        A broker that comes back may have lost messages that were read already.
        """
        return self._last_error.any

    @was_disconnected.setter
    def was_disconnected(self, value: bool) -> None:
        self._last_error.any = value

    def describe(self) -> dict[str, TopicDescription]:
        """Describe the topics that exist, by their names without prefix."""
        for name in self.topics:
            # Else the client looks for leaders among the partitions of before
            self._admin.list_topics(name, REQUEST_SECONDS)
        found = describe_topics(self._admin, self.topics, REQUEST_SECONDS)
        return {self.topics[name]: topic for name, topic in found.items()}

    def partitions(self) -> dict[str, tuple[int, ...]]:
        """Return the partitions of each topic; none where it does not exist."""
        found = self.describe()
        return {
            topic: found[topic].partitions if topic in found else ()
            for topic in self._names
        }

    def earliest(self, partitions: Mapping[str, Iterable[int]]) -> Partitions:
        """Return the first offset that each partition still holds."""
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def high_watermarks(self, partitions: Mapping[str, Iterable[int]]) -> Partitions:
        """Return the offset after the last message of each partition."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def _offsets(
        self, partitions: Mapping[str, Iterable[int]], spec: OffsetSpec
    ) -> Partitions:
        asked = {
            TopicPartition(self._names[topic], number): spec
            for topic, numbers in partitions.items()
            for number in numbers
        }
        found: Partitions = {topic: {} for topic in partitions}
        if not asked:
            return found
        answers = self._admin.list_offsets(asked, request_timeout=REQUEST_SECONDS)
        if wait(answers.values(), 2 * REQUEST_SECONDS).not_done:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        for topic, numbers in partitions.items():
            for number in numbers:
                at = TopicPartition(self._names[topic], number)
                answer: Future[ListOffsetsResultInfo] = answers[at]
                found[topic][number] = answer.result().offset
        return found

    def messages_at(
        self, offsets: Mapping[PartitionId, int]
    ) -> dict[PartitionId, Message | None]:
        """Return the first message at or after an offset of each partition.

        None where only the end follows. The offsets must be ones that Kafka holds.
        """
        found: dict[PartitionId, Message | None] = {}
        if not offsets:
            return found
        with Consumer(self._config | {"queued.min.messages": 1}) as consumer:
            consumer.assign(
                [
                    TopicPartition(self._names[topic], number, offset)
                    for (topic, number), offset in offsets.items()
                ]
            )
            deadline = time.monotonic() + FETCH_SECONDS
            while len(found) < len(offsets):
                message = consumer.poll(max(0.0, deadline - time.monotonic()))
                if message is None:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
                name, number = message.topic(), message.partition()
                at = None if name is None else (self.topics[name], number or 0)
                if at in found:
                    # What follows, which may be damaged, was not asked for
                    continue
                error = message.error()
                at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
                if at is None or (error is not None and not at_end):
                    raise KafkaException(error)
                found[at] = None if at_end else message
        return found

    def assign(self, progress: Mapping[str, Mapping[int, Progress]]) -> None:
        """Go on from there; what was read ahead or paused is forgotten."""
        # librdkafka's pauses outlive the assignment that they were made in
        self.pause(())
        self._consumer.assign(
            [
                TopicPartition(self._names[topic], number, partition.reached)
                for topic, partitions in progress.items()
                for number, partition in partitions.items()
            ]
        )

    def pause(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Take nothing from these partitions, and again from those paused before."""
        wanted = set(partitions)
        for change, which in (
            (self._consumer.pause, wanted - self._paused),
            (self._consumer.resume, self._paused - wanted),
        ):
            if which:
                change([TopicPartition(self._names[topic], n) for topic, n in which])
        self._paused = wanted

    def take(self, seconds: float, linger_until: float) -> list[Message]:
        """Wait so long for a message, then take those that are there with it.

        Where less than a full batch is there, it is added to until ``linger_until``,
        of ``time.monotonic()``.
        """
        first = self._consumer.poll(seconds)
        if first is None:
            return []
        messages = [first]
        size = len(first)
        while len(messages) < MOST_MESSAGES and size < MOST_BYTES:
            room = min(PORTION, MOST_MESSAGES - len(messages))
            patience = max(0.0, linger_until - time.monotonic())
            portion = self._consumer.consume(room, patience)
            messages += portion
            size += sum(map(len, portion))
            if len(portion) < room and time.monotonic() >= linger_until:
                break
        return messages

    def note_high_watermarks(
        self, progress: Mapping[str, Mapping[int, Progress]]
    ) -> None:
        """Note those that came with the latest messages, of partitions that moved."""
        for topic, partitions in progress.items():
            for number, partition in partitions.items():
                if partition.reached != partition.stored:
                    at = TopicPartition(self._names[topic], number)
                    newest = self._consumer.get_watermark_offsets(at, cached=True)[1]
                    partition.high_watermark = max(newest, partition.reached)
