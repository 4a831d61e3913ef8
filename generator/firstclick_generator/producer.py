"""An idempotent Kafka producer that never loses a message silently."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from firstclick.core.cluster import PRODUCER, LastError
from firstclick.core.errors import ServerError, SettingsError

ANSWER_WITHIN = 10.0
"""Seconds for Kafka to list its topics."""
ACKNOWLEDGED_WITHIN = 30.0
"""Seconds for Kafka to acknowledge a message, retries included."""
FLUSHED_WITHIN = 10.0
"""Seconds at the end for Kafka to acknowledge what it was sent."""
ROOM_WITHIN = 0.1
"""Seconds to wait for room in a full queue before errors are checked again."""

ProducerConfig = Mapping[str, str | int | float | bool]

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())


class KafkaProducer:
    """A producer with the messages that it has in flight; see `open_producer`."""

    def __init__(self, bootstrap_servers: str, config: ProducerConfig) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._failure: KafkaError | None = None
        self._last_error = LastError()
        settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap_servers,
            "client.id": "firstclick-generator",
            # Milliseconds to wait for more messages: a larger batch compresses better
            "linger.ms": 20,
            "delivery.timeout.ms": int(ACKNOWLEDGED_WITHIN * 1000),
            # Only failures matter: a callback for each message would take time
            "delivery.report.only.error": True,
            **config,
            "on_delivery": self._remember,
            "error_cb": self._last_error.note,
        }
        try:
            self._producer = Producer({**PRODUCER, **settings}, logger=logger)
        except KafkaException as error:
            raise SettingsError(
                "Settings of a Kafka producer were expected, but "
                f"{_reason(error)}: correct them"
            ) from error
        self._poll = self._producer.poll
        self._produce = self._producer.produce

    def expect(self, topics: Collection[str]) -> None:
        """Raise ServerError unless Kafka answers within 10 s and has the topics."""
        try:
            known = self._producer.list_topics(timeout=ANSWER_WITHIN).topics
        except KafkaException as error:
            self._poll(0)
            raise ServerError(
                f"Kafka was expected to answer at {self._bootstrap_servers} within "
                f"{ANSWER_WITHIN:.0f} s, but did not "
                f"({self._last_error.reason(error)}): start it "
                "with firstclick up, or correct KAFKA_BOOTSTRAP_SERVERS"
            ) from error
        for topic in topics:
            if topic not in known:
                raise ServerError(
                    f"Kafka at {self._bootstrap_servers} was expected to have the "
                    f"topic {topic}, but has not: make it with firstclick up"
                )

    def send(self, topic: str, key: bytes, payload: bytes, at: int = 0) -> None:
        """Hand a message to the producer, and wait while its queue is full.

        `at` is the message's timestamp in milliseconds since 1970, or 0 for now. It
        only counts on topics with CreateTime timestamps. Raises ServerError if the
        message can't be sent, or if an earlier message was lost.
        """
        while True:
            try:
                self._produce(topic, payload, key, timestamp=at)
                return
            except BufferError:
                self._poll(ROOM_WITHIN)
                self.check()
            except KafkaException as error:
                raise self._loss(_reason(error)) from error

    def check(self) -> None:
        """Raise ServerError if a message was not acknowledged in time."""
        self._poll(0)
        if self._failure is not None:
            raise self._loss(self._failure.str())

    def flush(self) -> None:
        """Wait until Kafka has acknowledged everything.

        Raises ServerError if that takes more than 10 s.
        """
        remaining = self._producer.flush(FLUSHED_WITHIN)
        self.check()
        if remaining:
            raise self._loss(
                f"{remaining} are still waiting for that after {FLUSHED_WITHIN:.0f} s"
            )

    def discard(self) -> None:
        """Drop the messages in flight and close the connections."""
        self._producer.purge()
        self._producer.close()

    def _remember(self, error: KafkaError | None, message: Message) -> None:
        self._failure = self._failure or error

    def _loss(self, reason: str) -> ServerError:
        return ServerError(
            # Cause: Kafka went away while the generator sent events.
            # Remedy: Check that Kafka runs and has room on its disk. It has kept the
            #   messages that it acknowledged.
            f"Kafka at {self._bootstrap_servers} was expected to acknowledge every "
            f"message, but {reason}: see whether it runs and has room on its disk"
        )


@contextmanager
def open_producer(
    bootstrap_servers: str, config: ProducerConfig | None = None
) -> Iterator[KafkaProducer]:
    """Connect to Kafka; `config` adds to the producer's settings or overrides them.

    If the block ends without an error, every message has been acknowledged. Otherwise,
    those that have not been are dropped.
    """
    producer = KafkaProducer(bootstrap_servers, config or {})
    try:
        yield producer
        producer.flush()
    finally:
        producer.discard()


def _reason(error: KafkaException) -> str:
    cause: KafkaError = error.args[0]
    return cause.str()
