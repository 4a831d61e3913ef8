"""Turn events into messages, including anomalies such as late or malformed ones."""

from collections.abc import Iterable, Iterator
from enum import StrEnum, auto
from heapq import heappop, heappush
from random import Random

import msgspec

from firstclick_generator.events import Click, Event
from firstclick_generator.malformed import MALFORMATIONS, unknown_reference


class DeliveryKind(StrEnum):
    """How a message relates to its event."""

    IN_TIME = auto()
    LATE = auto()
    OUT_OF_ORDER = auto()
    AGAIN = auto()
    MALFORMED = auto()


ANOMALIES = (
    DeliveryKind.LATE,
    DeliveryKind.OUT_OF_ORDER,
    DeliveryKind.AGAIN,
    DeliveryKind.MALFORMED,
)
DELAYS = {
    DeliveryKind.LATE: range(60_000, 600_000),
    DeliveryKind.OUT_OF_ORDER: range(100, 10_000),
    DeliveryKind.AGAIN: range(5_000),
}
"""How long anomalies are held back, in milliseconds."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message and when to send it, in milliseconds since 1970."""

    at: int
    topic: str
    key: bytes
    payload: bytes
    kind: DeliveryKind = DeliveryKind.IN_TIME


def deliveries(
    events: Iterable[tuple[int, Event]], random: Random, anomaly_rate: float
) -> Iterator[Delivery]:
    """Serialize events, and make a share `anomaly_rate` of them anomalies.

    There are equally many of each kind: late by minutes; out of order by seconds; sent
    in time and again within seconds; malformed instead of well-formed. Messages come in
    the order of their times. Those that are still held back when the events end come
    after them.
    """
    chance = random.random
    encode = msgspec.json.Encoder().encode
    of_purchases = list(MALFORMATIONS.values())
    # An unknown user makes a purchase malformed, but not a click
    of_clicks = [made for made in of_purchases if made is not unknown_reference]
    held: list[tuple[int, int, Delivery]] = []
    for number, (now, event) in enumerate(events):
        while held and held[0][0] <= now:
            yield heappop(held)[2]
        topic = "clicks" if isinstance(event, Click) else "purchases"
        delivery = Delivery(now, topic, event.key.encode(), encode(event))
        if chance() >= anomaly_rate:
            yield delivery
            continue
        kind = random.choice(ANOMALIES)
        if kind is DeliveryKind.MALFORMED:
            malformed = random.choice(of_clicks if topic == "clicks" else of_purchases)
            payload = malformed(msgspec.structs.asdict(event), random)
            yield msgspec.structs.replace(delivery, payload=payload, kind=kind)
            continue
        if kind is DeliveryKind.AGAIN:
            yield delivery
        due = now + random.choice(DELAYS[kind])
        delayed = msgspec.structs.replace(delivery, at=due, kind=kind)
        heappush(held, (due, number, delayed))
    while held:
        yield heappop(held)[2]
