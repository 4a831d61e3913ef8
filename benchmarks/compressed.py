"""The generator and the expire worker by a clock that runs fast.

``python -m benchmarks.compressed STARTED FACTOR send SERVERS BEGIN END RATE`` sends
messages and prints their number; ``… STARTED FACTOR expire`` runs the worker. Each runs
as a separate process.
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
    """Yield the messages from ``begin`` to ``end``, the same ones at each call.

    Times are in seconds since 1970; ``rate`` is in events per second, averaged over a
    day.
    """
    # The shop takes its rate for the one at ``begin``, which may be any time of the day
    stream = messages(begin, rate * diurnal_rate(begin), SEED)
    return takewhile(lambda delivery: delivery.at < 1000 * end, stream)


def send(clock: Clock, servers: str, begin: float, end: float, rate: float) -> int:
    """Send each message when the clock shows its time; return how many were sent."""
    sent = 0
    with open_producer(servers) as producer:
        for sent, message in enumerate(shop(begin, end, rate), 1):
            if sent % _AT_ONCE == 0:
                clock.wait_until(message.at / 1000)
                producer.check()
            producer.send(message.topic, message.key, message.payload, message.at)
    return sent


def expire_by(clock: Clock) -> int:
    """Run the expire worker at its usual interval, but measured by this clock."""

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
