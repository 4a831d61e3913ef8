"""The generator's messages, without waiting for the clock."""

from collections.abc import Iterator
from random import Random

from firstclick_generator import Delivery, Product, Shop, User, deliveries, read_rows
from firstclick_generator.reference import SEEDS

ANOMALY_RATE = 0.01


def messages(start: float, rate: float, seed: int) -> Iterator[Delivery]:
    """Yield the shop's messages from ``start`` (seconds since 1970) on, endlessly.

    ``rate`` is in events per second of the shop's time, at ``start``.
    """
    shop = Shop(
        seed,
        read_rows(SEEDS / "users.csv", User),
        read_rows(SEEDS / "products.csv", Product),
    )
    events = shop.events(start, float("inf"), rate)
    return deliveries(events, Random(seed), ANOMALY_RATE)
