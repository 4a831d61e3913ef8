"""A producer for the pipeline's topics that reports every message it could not send."""

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Message

from firstclick.core.cluster import LastError
from firstclick.core.pipeline import Pipeline
from firstclick.core.waiting import Stop

DELIVERY_SECONDS = 10.0
"""How long Kafka may take to acknowledge a message."""

REMEDIES = {
    KafkaError.MSG_SIZE_TOO_LARGE: "raise the topic's max.message.bytes",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "create the topic, by firstclick up for example",
    KafkaError._UNKNOWN_TOPIC: "create the topic, by firstclick up for example",
    KafkaError._UNKNOWN_PARTITION: "create the topic, by firstclick up for example",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "allow this client to write to it",
}


class NotDelivered(Exception):
    """Kafka did not acknowledge a message.

    If ``is_spent`` is true, make another producer: this one had a fatal error or a
    timeout. A timeout can mean that somebody set the clock back. librdkafka's timed
    waits use the time of day, so the producer would stand still for that long.
    """

    def __init__(self, topic: str, error: KafkaError, reason: str) -> None:
        remedy = REMEDIES.get(error.code(), "see that Kafka runs and is reachable")
        super().__init__(f"topic {topic}: {reason} (nothing is lost): {remedy}")
        self.is_spent = error.fatal() or error.code() == KafkaError._MSG_TIMED_OUT


class Topic:
    """A topic of the pipeline, written to by an idempotent producer."""

    def __init__(self, pipeline: Pipeline, topic: str, stop: Stop) -> None:
        self.name = pipeline.topic_prefix + topic
        self._stop = stop
        self._failure: KafkaError | None = None
        self.ends: dict[int, int] = {}
        """The offset after the last message that Kafka acknowledged, by partition."""
        self._last_error = LastError()
        self._producer = pipeline.kafka.producer(
            {
                "client.id": "firstclick",
                # Default: 5. `send` gets all messages of a round at once, so there is
                # no use in waiting for more
                "linger.ms": 1,
                # Default: 1 MB. Above the topics' own limit, so that Kafka is the one
                # that refuses a message, with an error that REMEDIES has a remedy for
                "message.max.bytes": 16_000_000,
                # Default: 5 min
                "message.timeout.ms": int(1000 * DELIVERY_SECONDS),
                # How long a topic may be unknown before a message to it fails. The
                # default, 30 s, is longer than DELIVERY_SECONDS, so a missing topic
                # would look like a timeout
                "topic.metadata.propagation.max.ms": 5_000,
                "reconnect.backoff.ms": 100,
                # Default: 10 s. Kafka restarts faster than that
                "reconnect.backoff.max.ms": 5_000,
                "error_cb": self._complain,
            }
        )

    def _complain(self, error: KafkaError) -> None:
        self._last_error.note(error)
        if error.fatal():
            self._failure = error

    def _note(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = self._failure or error
            return
        partition: int = message.partition()  # type: ignore[assignment]
        offset: int = message.offset()  # type: ignore[assignment]
        if offset >= self.ends.get(partition, 0):
            self.ends[partition] = offset + 1

    def send(self, messages: Iterable[tuple[str | bytes | None, bytes | None]]) -> None:
        """Produce messages (key and value) and wait until Kafka has acknowledged all.

        Raises NotDelivered if it doesn't, and Stopped if a signal arrives meanwhile.
        """
        self._failure = None
        try:
            for key, value in messages:
                self._producer.produce(self.name, value, key, on_delivery=self._note)
        except KafkaException as error:
            self._failure = error.args[0]
        except BufferError:
            self._failure = KafkaError(KafkaError._QUEUE_FULL)
        while self._producer.flush(0.5):
            self._stop.wait(0)
        if self._failure is not None:
            reason = self._last_error.reason(self._failure)
            raise NotDelivered(self.name, self._failure, reason)
