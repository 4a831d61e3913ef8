"""What feeds a pipeline by a clock that runs fast, and what deletes by it.

``python -m benchmarks.compressed STARTED FACTOR send SERVERS BEGIN END RATE`` prints
the number of messages; ``… STARTED FACTOR expire`` is the worker. Each is a process of
its own.
"""

import logging
import sys
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from confluent_kafka import Producer

from benchmarks.clock import Clock
from benchmarks.shop_events import messages
from firstclick.core.pipeline import Pipeline
from firstclick.core.waiting import Stop
from firstclick.workers import topic
from firstclick.workers.expire import EVERY_SECONDS, expire
from firstclick.workers.worker import main
from firstclick_generator import Delivery
from firstclick_generator.producer import open_producer
from firstclick_generator.schedule import diurnal_rate

SEED = 60
_AT_ONCE = 100


def shop(begin: float, end: float, rate: float) -> Iterator[Delivery]:
    """The messages of so long, the same ones each time.

    Times are in seconds since 1970; ``rate`` is events a second, of a whole day's.
    """
    # Begun at any time of the day: a shop's rate is that of its start
    stream = messages(begin, rate * diurnal_rate(begin), SEED)
    return takewhile(lambda delivery: delivery.at < 1000 * end, stream)


def send(clock: Clock, servers: str, begin: float, end: float, rate: float) -> int:
    """Send each message when the clock shows its time; returns how many they were."""
    sent = 0
    with open_producer(servers) as producer:
        for sent, message in enumerate(shop(begin, end, rate), 1):
            if sent % _AT_ONCE == 0:
                clock.wait_until(message.at / 1000)
                producer.check()
            producer.send(message.topic, message.key, message.payload, message.at)
    return sent


def expire_by(clock: Clock) -> int:
    """Run the worker that deletes, as often by this clock as else by the real one."""

    class Stamping(Producer):
        def produce(self, topic: str, *message: Any, **options: Any) -> None:
            options["timestamp"] = int(1000 * clock.now())
            super().produce(topic, *message, **options)

    topic.Producer = Stamping  # type: ignore[attr-defined]

    def work(pipeline: Pipeline, stop: Stop, log: logging.Logger) -> None:
        expire(pipeline, stop, log, EVERY_SECONDS / clock.factor)

    return main("expire", work)


if __name__ == "__main__":
    clock, work, arguments = Clock.from_arguments(), sys.argv[3], sys.argv[4:]
    if work == "expire":
        sys.exit(expire_by(clock))
    servers, *numbers = arguments
    print(send(clock, servers, *map(float, numbers)))
