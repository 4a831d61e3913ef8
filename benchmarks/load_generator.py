"""Send events at any rate, cheaply.

Run it as ``python -m benchmarks.load_generator SERVERS RATE SECONDS``.

The shop's own generator would need more than one core at these rates. This one makes a
minute of the shop's messages beforehand and sends them again and again, each time with
new keys and the current time. It prints the number of messages that Kafka acknowledged.
"""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count, cycle, islice

from confluent_kafka import KafkaError, Message

from benchmarks.shop_events import messages
from firstclick.core.cluster import Cluster

_TEMPLATES = 100_000
_RATE = 2_000.0
"""Events per second of the shop's time in the templates."""

_TICK = 0.01
_SEED = 41

Template = tuple[str, bytes, bytes, bytes]
"""Topic; the payload before its key, between key and time, and after the time."""


def templates() -> list[Template]:
    """Make messages, cut at their key and time; some malformed ones have neither."""
    made = []
    start = time.time() - _TEMPLATES / _RATE
    for delivery in islice(messages(start, _RATE, _SEED), _TEMPLATES):
        field = b'_time":"'
        before, _, rest = delivery.payload.partition(delivery.key)
        between, found, after = rest.partition(field)
        if found:
            between, after = between + found, after[24:]
        made.append((delivery.topic, before, between, after))
    return made


def send(servers: str, rate: float, seconds: float) -> int:
    """Send for ``seconds`` and return the number of messages, all acknowledged.

    Sends fewer if it can't reach the rate. Raises RuntimeError if Kafka doesn't
    acknowledge a message.
    """
    failures: list[KafkaError] = []

    def note(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Cluster(servers).producer(
        {
            "linger.ms": 20,
            "batch.num.messages": 50_000,
            "queue.buffering.max.messages": 200_000,
            "delivery.timeout.ms": 300_000,
            "delivery.report.only.error": True,
            "on_delivery": note,
        }
    )
    sent = 0
    waiting = _endless()
    start = time.monotonic()
    while (now := time.monotonic() - start) < seconds:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")[:23].encode() + b"Z"
        for topic, key, (before, between, after) in islice(
            waiting, int(min(rate * now - sent, rate * _TICK))
        ):
            payload = before + key + between + at + after
            while True:
                try:
                    producer.produce(topic, payload, key)
                    break
                except BufferError:
                    producer.poll(0.01)
            sent += 1
        producer.poll(0)
        time.sleep(max(0.0, sent / rate - (time.monotonic() - start)))
    producer.flush(300)
    if failures:
        raise RuntimeError(f"{len(failures)} not acknowledged: {failures[0].str()}")
    return sent


def _endless() -> Iterator[tuple[str, bytes, tuple[bytes, bytes, bytes]]]:
    run = time.time_ns()
    for number, (topic, *parts) in zip(count(), cycle(templates()), strict=False):
        before, between, after = parts
        yield topic, b"%016x%016x" % (run, number), (before, between, after)


if __name__ == "__main__":
    print(send(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
