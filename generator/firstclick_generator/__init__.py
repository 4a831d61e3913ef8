"""Make up a shop's clicks and purchases, and produce them to Kafka."""

from firstclick_generator.delivery import Delivery, DeliveryKind, deliveries
from firstclick_generator.events import Click, Event, Purchase
from firstclick_generator.feed import Progress, generate
from firstclick_generator.reference import SEEDS, Product, User, read_rows
from firstclick_generator.shop import Shop

__all__ = [
    "SEEDS",
    "Click",
    "Delivery",
    "DeliveryKind",
    "Event",
    "Product",
    "Progress",
    "Purchase",
    "Shop",
    "User",
    "deliveries",
    "generate",
    "read_rows",
]
