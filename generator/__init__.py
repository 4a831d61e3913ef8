"""A shop's clicks and purchases, made as data and produced to Kafka."""

from generator.delivery import Delivery, Fate, deliveries
from generator.events import Click, Event, Purchase
from generator.feed import Progress, generate
from generator.reference import Product, User, read_rows
from generator.seeds import SEEDS, write_seeds
from generator.shop import Shop

__all__ = [
    "SEEDS",
    "Click",
    "Delivery",
    "Event",
    "Fate",
    "Product",
    "Progress",
    "Purchase",
    "Shop",
    "User",
    "deliveries",
    "generate",
    "read_rows",
    "write_seeds",
]
