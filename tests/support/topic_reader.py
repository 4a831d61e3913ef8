"""What a topic holds, read from Kafka itself."""

import time
from collections.abc import Iterator

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from firstclick.core.cluster import Cluster

_ANSWER_SECONDS = 10.0


class TopicReader:
    """Reads a topic from its beginning, each message once."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self.topic = topic
        self._next: dict[int, int] = {}
        self._consumer = Consumer(
            {
                **cluster.client(),
                "group.id": "firstclick-conformance",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "fetch.message.max.bytes": 16_000_000,
                "log_level": 0,
            }
        )

    def close(self) -> None:
        self._consumer.close()

    def ends(self) -> dict[int, int]:
        """Each partition's high watermark. Raises KafkaException."""
        return {number: end for number, (_, end) in self._watermarks().items()}

    def read(self, patience: float) -> Iterator[Message]:
        """Yield what has come since the last time, up to the present end.

        Raises TimeoutError where that takes longer than so many seconds, and
        KafkaException.
        """
        unread = {
            number: max(begin, self._next.get(number, 0))
            for number, (begin, end) in self._watermarks().items()
            if self._next.get(number, 0) < end
        }
        self._consumer.assign(
            [TopicPartition(self.topic, *position) for position in unread.items()]
        )
        deadline = time.monotonic() + patience
        try:
            while unread:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"topic {self.topic}: not read to its end within "
                        f"{patience:.0f} s, expected it in partitions "
                        f"{sorted(unread)}: see whether Kafka runs"
                    )
                # Alone consume() would wait for as many as it may return
                first = self._consumer.poll(0.1)
                rest = self._consumer.consume(10_000, 0)
                for message in [first, *rest] if first is not None else rest:
                    error = message.error()
                    number, offset = message.partition(), message.offset()
                    if error is None:
                        assert number is not None and offset is not None
                        self._next[number] = offset + 1
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:
                        assert number is not None and offset is not None
                        self._next[number] = offset
                        # Said again where more has come meanwhile
                        unread.pop(number, None)
                    elif not error.retriable() and error.code() not in _PASSING:
                        raise KafkaException(error)
        finally:
            # Else a look-up of offsets waits behind a fetch that waits for messages
            self._consumer.unassign()

    def _watermarks(self) -> dict[int, tuple[int, int]]:
        metadata = self._consumer.list_topics(self.topic, _ANSWER_SECONDS)
        topic = metadata.topics[self.topic]
        if topic.error is not None:
            raise KafkaException(topic.error)
        return {
            number: self._consumer.get_watermark_offsets(
                TopicPartition(self.topic, number), timeout=_ANSWER_SECONDS
            )
            for number in topic.partitions
        }


_PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}
