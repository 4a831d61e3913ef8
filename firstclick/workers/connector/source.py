"""The connector's side of Kafka: reads two topics from the offsets in the database."""

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
"""The largest number of messages in a batch, which is one transaction."""

MOST_BYTES = 8_000_000
"""The largest size of a batch's messages in bytes. One portion may exceed it."""

PORTION = 500
"""Messages taken at once from librdkafka's queue."""

QUEUE_KILOBYTES = 16_384
"""How much librdkafka reads ahead, in kilobytes. The connector's memory is bounded by
this queue, one fetch (2 MB, or one message batch if that is larger, either of them
decompressed) and one batch of its own."""

LARGEST_BATCH = 512 * 1024 * 1024
"""The largest message batch that librdkafka decompresses, in bytes. A few kilobytes of
zstd can decompress to more than librdkafka's default, 100 MB, and would stop the
partition."""

REQUEST_SECONDS = 2.0
"""How long Kafka may take to answer a question about partitions."""

FETCH_SECONDS = 10.0
"""How long Kafka may take to deliver single messages that the connector asks for."""

Partitions = dict[str, dict[int, int]]
"""An offset by topic (without prefix) and partition."""


class Source:
    """A consumer without a group: the connector assigns partitions and offsets itself.

    Every method except ``take`` raises KafkaException if Kafka is not reachable.
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
            # Default: 10 s. Kafka restarts faster than that
            "reconnect.backoff.max.ms": 5_000,
            # The log shows the latest error. librdkafka would print each to stderr too
            "error_cb": self._last_error.note,
            "log_level": 0,
        }
        self._config = client | {
            # librdkafka requires a group id. The consumer never joins the group
            "group.id": "firstclick-connector",
            # Offsets are stored only in PostgreSQL, in the transaction of their rows
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # Tells `messages_at` that no message follows, and `compact_batch` how far
            # the log reaches where its last messages are never delivered
            "enable.partition.eof": True,
            # If Kafka deleted messages before they were read, count them as lost. Any
            # other value would skip them silently
            "auto.offset.reset": "error",
            # Never deliver messages of transactions that a producer aborted
            "isolation.level": "read_committed",
            # Default: off. A batch that was damaged on disk or on its way is an error
            "check.crcs": True,
            # Under load, the broker answers with at least 64 KB at once, which takes
            # fewer requests than answers of single messages
            "fetch.min.bytes": 65_536,
            # With fewer events, the broker answers after 10 ms (default: 500), which
            # bounds the latency that fetch.min.bytes adds
            "fetch.wait.max.ms": 10,
            # Default: 500. A restarted broker is read again sooner
            "fetch.error.backoff.ms": 100,
            # Default: 1000. When the queue has been full, fetch again at once: else it
            # could run empty during a backfill
            "fetch.queue.backoff.ms": 10,
            # Default: 50 MB. Bounds the memory of a fetch, see QUEUE_KILOBYTES
            "fetch.max.bytes": 2_097_152,
            # Default: 100 MB. Also limits decompression, see LARGEST_BATCH
            "receive.message.max.bytes": LARGEST_BATCH,
            # An eighth of a fetch: two topics of four partitions share it equally
            "max.partition.fetch.bytes": 262_144,
            # Default: 100,000. Two batches: one to write and the next one ready
            "queued.min.messages": 2 * MOST_MESSAGES,
            # Default: 64 MB. Bounds the connector's memory
            "queued.max.messages.kbytes": QUEUE_KILOBYTES,
            # The maximum, a day. The connector may wait for dbt's lock for longer than
            # the default, 5 min, and librdkafka would report a consumer that hangs
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
        """Return why a request failed: librdkafka's latest error, if there is one."""
        self._admin.poll(0)
        return self._last_error.reason(error)

    @property
    def was_disconnected(self) -> bool:
        """True if a connection to Kafka had an error since you last set this to False.

        A broker that comes back may have lost messages that the connector has read.
        """
        return self._last_error.any

    @was_disconnected.setter
    def was_disconnected(self, value: bool) -> None:
        self._last_error.any = value

    def describe(self) -> dict[str, TopicDescription]:
        """Describe the topics that exist, by their names without prefix."""
        for name in self.topics:
            # Refreshes the client's metadata. A stale copy lacks new partitions, and
            # the client couldn't find their leaders
            self._admin.list_topics(name, REQUEST_SECONDS)
        found = describe_topics(self._admin, self.topics, REQUEST_SECONDS)
        return {self.topics[name]: topic for name, topic in found.items()}

    def partitions(self) -> dict[str, tuple[int, ...]]:
        """Return the partitions of each topic; none if the topic does not exist."""
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
        """Return each partition's first message at or after the given offset.

        None if the partition has no message from there on. The offsets must be in the
        range that Kafka holds. Raises KafkaException, also if Kafka takes longer than
        FETCH_SECONDS.
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
                    # Ignore later messages, which may be damaged
                    continue
                error = message.error()
                at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
                if at is None or (error is not None and not at_end):
                    raise KafkaException(error)
                found[at] = None if at_end else message
        return found

    def assign(self, progress: Mapping[str, Mapping[int, Progress]]) -> None:
        """Continue at the offsets in ``progress``.

        Discards the messages that librdkafka has read ahead, and ends all pauses.
        """
        # librdkafka keeps a partition paused in the next assignment
        self.pause(())
        self._consumer.assign(
            [
                TopicPartition(self._names[topic], number, partition.reached)
                for topic, partitions in progress.items()
                for number, partition in partitions.items()
            ]
        )

    def pause(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Pause exactly these partitions, and resume all others."""
        wanted = set(partitions)
        for change, which in (
            (self._consumer.pause, wanted - self._paused),
            (self._consumer.resume, self._paused - wanted),
        ):
            if which:
                change([TopicPartition(self._names[topic], n) for topic, n in which])
        self._paused = wanted

    def take(self, seconds: float, linger_until: float) -> list[Message]:
        """Wait up to ``seconds`` for a message, then return it with those behind it.

        Collects more messages until the batch is full (MOST_MESSAGES or MOST_BYTES) or
        ``time.monotonic()`` reaches ``linger_until``. Returns an empty list if no
        message arrives in time.
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
        """Update ``high_watermark`` of the partitions that have new messages.

        Kafka sends it with every fetch, so this needs no request.
        """
        for topic, partitions in progress.items():
            for number, partition in partitions.items():
                if partition.reached != partition.stored:
                    at = TopicPartition(self._names[topic], number)
                    newest = self._consumer.get_watermark_offsets(at, cached=True)[1]
                    partition.high_watermark = max(newest, partition.reached)
