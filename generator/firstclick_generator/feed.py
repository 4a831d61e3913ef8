"""Feed Kafka with the shop's events in real time."""

import math
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from firstclick.core.errors import SettingsError
from firstclick_generator.delivery import Delivery, DeliveryKind, deliveries
from firstclick_generator.producer import KafkaProducer, ProducerConfig, open_producer
from firstclick_generator.reference import SEEDS, Product, User, read_rows
from firstclick_generator.shop import Shop

TICK = 0.01
"""The longest sleep between two looks at `stop`, in seconds."""
BATCH = 500
"""After how many messages to look at errors, `stop` and the time."""
OVERTIME = 1.0
"""Seconds after the end at which messages that are still due are given up."""
REPORT_EVERY = 1.0
"""Seconds between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How much has been sent in how many seconds.

    `clicks` and `purchases` count each well-formed event once. `malformed` and
    `duplicated` count messages in addition to these. `late` counts the events among
    `clicks` and `purchases` that were sent after later ones, by seconds or minutes.
    """

    clicks: int
    purchases: int
    malformed: int
    duplicated: int
    late: int
    seconds: float


def generate(
    bootstrap_servers: str,
    *,
    topic_prefix: str = "",
    rate: float,
    duration: float | None,
    seed: int | None = None,
    anomaly_rate: float = 0.01,
    backfill_hours: float = 0,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    producer_config: ProducerConfig | None = None,
    seeds: Path = SEEDS,
) -> Progress:
    """Feed the topics `clicks` and `purchases` until the duration is over.

    First come the past `backfill_hours`, as fast as Kafka takes them, then `duration`
    seconds in real time (None: until `stop` is set). `rate` is in events per second as
    of now, and follows the time of day. It is kept by schedule: an event's time is when
    it was due, however late it is sent. If the machine can't keep up, the feed ends one
    second after the duration.

    A share `anomaly_rate` of the events is late, duplicated or malformed. The same
    seed, start and rate give the same events; by default the seed is random.
    `on_progress` is called about once a second.

    Raises SettingsError for an invalid value, and ServerError if Kafka does not answer,
    lacks a topic or does not acknowledge a message in time.
    """
    _expect(rate > 0 and math.isfinite(rate), "rate", "above 0", rate)
    _expect(duration is None or duration >= 0, "duration", "0 or above", duration)
    _expect(0 <= anomaly_rate <= 1, "anomaly_rate", "from 0 to 1", anomaly_rate)
    _expect(
        0 <= backfill_hours < math.inf, "backfill_hours", "0 or above", backfill_hours
    )
    if seed is None:
        seed = secrets.randbits(64)
    users = read_rows(seeds / "users.csv", User)
    products = read_rows(seeds / "products.csv", Product)
    shop = Shop(seed, users, products)
    # Changing the word "mess" would change the anomalies of every seed
    random = Random(f"mess {seed}")
    with open_producer(bootstrap_servers, producer_config) as producer:
        feed = _Feed(producer, topic_prefix, stop or threading.Event(), on_progress)
        producer.expect([topic_prefix + "clicks", topic_prefix + "purchases"])
        start = time.time()
        if backfill_hours:
            past = shop.events(
                start - backfill_hours * 3600, start, rate, rate_at=start
            )
            feed.send_at_once(deliveries(past, random, anomaly_rate))
        begin = time.time() if backfill_hours else start
        end = math.inf if duration is None else begin + duration
        present = shop.events(start, end, rate)
        feed.send_when_due(deliveries(present, random, anomaly_rate), end)
    return feed.progress()


def _expect(holds: bool, name: str, form: str, value: float | None) -> None:
    if not holds:
        raise SettingsError(f"{name} was expected to be {form}, but is {value}")


class _Feed:
    """Sends messages and counts them."""

    def __init__(
        self,
        producer: KafkaProducer,
        topic_prefix: str,
        stop: threading.Event,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._producer = producer
        self._topics = {name: topic_prefix + name for name in ("clicks", "purchases")}
        self._stop = stop
        self._on_progress = on_progress
        self._counts: Counter[tuple[str, DeliveryKind]] = Counter()
        self._started = self._reported = time.monotonic()

    def send_at_once(self, messages: Iterable[Delivery]) -> None:
        """Send messages as fast as Kafka takes them."""
        for number, message in enumerate(messages):
            if number % BATCH == 0 and not self._goes_on():
                return
            self._send(message)

    def send_when_due(self, messages: Iterable[Delivery], end: float) -> None:
        """Send each message when it is due, and all remaining ones at `end`.

        `end` is in seconds since 1970.
        """
        now = 0.0
        for number, message in enumerate(messages):
            due = min(message.at / 1000, end)
            if due > now:
                if not self._wait_until(due):
                    return
                now = time.time()
            if number % BATCH == 0 and (
                not self._goes_on() or time.time() > end + OVERTIME
            ):
                return
            self._send(message)
        self._wait_until(end)

    def progress(self) -> Progress:
        """Return how much has been sent so far."""
        sent = self._counts
        well_formed = (
            DeliveryKind.IN_TIME,
            DeliveryKind.LATE,
            DeliveryKind.OUT_OF_ORDER,
        )
        return Progress(
            clicks=sum(sent["clicks", kind] for kind in well_formed),
            purchases=sum(sent["purchases", kind] for kind in well_formed),
            malformed=sum(
                sent[topic, DeliveryKind.MALFORMED] for topic in self._topics
            ),
            duplicated=sum(sent[topic, DeliveryKind.AGAIN] for topic in self._topics),
            late=sum(
                sent[topic, kind]
                for topic in self._topics
                for kind in (DeliveryKind.LATE, DeliveryKind.OUT_OF_ORDER)
            ),
            seconds=time.monotonic() - self._started,
        )

    def _send(self, message: Delivery) -> None:
        self._producer.send(self._topics[message.topic], message.key, message.payload)
        self._counts[message.topic, message.kind] += 1

    def _wait_until(self, due: float) -> bool:
        """Wait until a time; return False if the feed should stop instead."""
        while (wait := due - time.time()) > 0:
            if not self._goes_on() or self._stop.wait(min(wait, TICK)):
                return False
        return True

    def _goes_on(self) -> bool:
        self._producer.check()
        if self._on_progress is not None:
            now = time.monotonic()
            if now - self._reported >= REPORT_EVERY:
                self._reported = now
                self._on_progress(self.progress())
        return not self._stop.is_set()
