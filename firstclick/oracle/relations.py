"""Attribution, checkouts, insights and health, computed from all messages."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from typing import Any, NamedTuple

from firstclick.oracle.validation import Click, Message, Purchase, Reference, validate

WINDOW = timedelta(minutes=10)
"""How long before a purchase a click may be to count as its first click."""

HOUR = timedelta(hours=1)

EXACT = Context(prec=2000, traps=[Inexact, InvalidOperation, Overflow])
"""Decimal arithmetic that never rounds: a result with more digits is an error."""


class RejectedEvent(NamedTuple):
    """A rejected message: a row of rejected_events."""

    topic: str
    event_key: str | None
    payload: str
    reason: str
    kafka_partition: int
    kafka_offset: int
    kafka_time: datetime


class FirstClick(NamedTuple):
    """An attributed purchase: a row of purchase_first_clicks."""

    purchase_id: str
    click_id: str
    click_at: str
    source: str
    click_time: datetime


class Checkout(NamedTuple):
    """A priced purchase: a row of checkouts."""

    purchase_id: str
    user_id: str
    product_id: str
    click_id: str | None
    product_name: str | None
    category: str | None
    brand: str | None
    gender: str | None
    payment_method: str
    payment_status: str
    failure_reason: str | None
    click_at: str | None
    source: str | None
    quantity: int
    total_cost: Decimal
    profit: Decimal
    purchase_time: datetime
    click_time: datetime | None


def latest(messages: Iterable[Message]) -> list[Message]:
    """Return the newest message of each key, and all messages without a key.

    Keys whose newest message is a tombstone are left out. ``messages`` may be in any
    order. Within a partition, the message with the greater offset is newer. Between
    partitions, the one that Kafka stamped later is, or at equal timestamps the one in
    the partition with the higher number. All messages of a topic are newer than those
    of a deleted topic that had the same name.
    """
    of_partition: dict[tuple[str, bytes, int, int], Message] = {}
    keyless = []
    for message in sorted(messages, key=lambda m: m.offset):
        if message.key is None:
            keyless.append(message)
        else:
            at = (message.topic, message.key, message.log, message.partition)
            of_partition[at] = message
    of_key = {
        (message.topic, message.key): message
        for message in sorted(of_partition.values(), key=_between_partitions)
    }
    return [m for m in (*of_key.values(), *keyless) if m.value is not None]


def _between_partitions(message: Message) -> tuple[int, datetime, int]:
    # An engine shows partitions of an earlier log as negative numbers, the higher ones
    # further below zero
    return message.log, message.kafka_time, abs(message.partition)


def shown(data: bytes) -> str:
    """Return bytes as text, or in hexadecimal if they are not UTF-8.

    Bytes that contain a zero byte are shown in hexadecimal too, because not every
    engine's text type can hold it.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data.hex()
    return data.hex() if "\0" in text else text


def first_click(
    purchase: Purchase, clicks: Iterable[Click], window: timedelta = WINDOW
) -> Click | None:
    """Return the click that a purchase is attributed to, or None.

    The candidates are the same user's clicks in the ``window`` before the purchase. The
    earliest one counts. If several have the same time, the least click_id does, by code
    point.
    """
    candidates = [
        click
        for click in clicks
        if click.user_id == purchase.user_id
        and purchase.purchase_time - window <= click.click_time
        and click.click_time <= purchase.purchase_time
    ]
    return min(candidates, key=lambda c: (c.click_time, c.click_id), default=None)


def checkout(purchase: Purchase, click: Click | None, reference: Reference) -> Checkout:
    """Return the checkout of a purchase: priced, and attributed to ``click``.

    The user and the product must be in the reference data.
    """
    user = reference.users[purchase.user_id]
    product = reference.products[purchase.product_id]
    with localcontext(EXACT):
        total_cost = (
            product["price"] * purchase.quantity * (1 - purchase.discount)
            + purchase.shipping_cost
        )
        profit = (total_cost - purchase.shipping_cost) * product["commission_rate"]
    return Checkout(
        purchase_id=purchase.purchase_id,
        user_id=purchase.user_id,
        product_id=purchase.product_id,
        click_id=click.click_id if click else None,
        product_name=product["product_name"],
        category=product["category"],
        brand=product["brand"],
        gender=user["gender"],
        payment_method=purchase.payment_method,
        payment_status=purchase.payment_status,
        failure_reason=purchase.failure_reason,
        click_at=click.click_at if click else None,
        source=click.source if click else None,
        quantity=purchase.quantity,
        total_cost=total_cost,
        profit=profit,
        purchase_time=purchase.purchase_time,
        click_time=click.click_time if click else None,
    )


def checkout_messages(
    checkouts: Iterable[tuple[Any, ...]],
) -> dict[str, dict[str, Any]]:
    """Return the content of the topic `checkouts`: the JSON object of each purchase_id.

    Decimals are strings without an exponent and without zeros at the end, for example
    ``"12.5"``. The pipeline's own messages may have such zeros.
    """
    return {
        row[0]: dict(zip(Checkout._fields, map(in_json, row), strict=True))
        for row in checkouts
    }


def in_json(value: Any) -> Any:
    """Return a column's value as in a message of the topic `checkouts`."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    return value


@dataclass(frozen=True, slots=True)
class Insight:
    """An aggregation of checkouts, such as revenue by category."""

    counted: Callable[[Checkout], bool]
    """Selects the checkouts that count."""
    group: dict[str, Callable[[Checkout], Any]]
    """The columns to group by."""
    figures: dict[str, Callable[[list[Checkout]], Any]]
    """The columns computed from the checkouts of a group."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.group, *self.figures)


def successful(checkout: Checkout) -> bool:
    return checkout.payment_status == "success"


def attributed(checkout: Checkout) -> bool:
    return checkout.click_id is not None


def units(checkouts: list[Checkout]) -> int:
    return sum(checkout.quantity for checkout in checkouts)


def revenue(checkouts: list[Checkout]) -> Decimal:
    return sum((checkout.total_cost for checkout in checkouts), Decimal(0))


def profit(checkouts: list[Checkout]) -> Decimal:
    return sum((checkout.profit for checkout in checkouts), Decimal(0))


def of_attributed(
    figure: Callable[[list[Checkout]], Any],
) -> Callable[[list[Checkout]], Any]:
    return lambda checkouts: figure([c for c in checkouts if attributed(c)])


INSIGHTS = {
    "sources": Insight(
        lambda c: successful(c) and attributed(c),
        {
            "source": lambda c: c.source,
            "is_advertisement": lambda c: c.source != "Unknown",
        },
        {"checkouts": len, "revenue": revenue, "profit": profit},
    ),
    "revenue": Insight(
        successful,
        {},
        {
            "checkouts": len,
            "units": units,
            "revenue": revenue,
            "profit": profit,
            "attributed_checkouts": of_attributed(len),
            "attributed_revenue": of_attributed(revenue),
            "attributed_profit": of_attributed(profit),
        },
    ),
    "categories": Insight(
        successful,
        {"category": lambda c: c.category},
        {"checkouts": len, "units": units, "revenue": revenue},
    ),
    "payment_failures": Insight(
        lambda c: c.payment_status == "failure",
        {"failure_reason": lambda c: c.failure_reason},
        {"checkouts": len},
    ),
    "genders": Insight(successful, {"gender": lambda c: c.gender}, {"checkouts": len}),
}


def last_hour(
    insight: Insight, checkouts: Iterable[Checkout], now: datetime
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an insight over the last hour, exact to the event."""
    groups: dict[tuple[Any, ...], list[Checkout]] = defaultdict(list)
    if not insight.group:
        groups[()] = []
    for one in checkouts:
        if insight.counted(one) and one.purchase_time <= now < one.purchase_time + HOUR:
            groups[tuple(of(one) for of in insight.group.values())].append(one)
    for group, members in groups.items():
        yield *group, *(figure(members) for figure in insight.figures.values())


def by_minute(
    insight: Insight, checkouts: Iterable[Checkout]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an insight per minute of event time."""
    groups: dict[tuple[Any, ...], list[Checkout]] = defaultdict(list)
    for one in checkouts:
        if insight.counted(one):
            minute = one.purchase_time.replace(second=0, microsecond=0)
            groups[minute, *(of(one) for of in insight.group.values())].append(one)
    for group, members in groups.items():
        yield *group, *(figure(members) for figure in insight.figures.values())


def earliest_clicks(
    clicks: Iterable[Click], now: datetime, window: timedelta
) -> Iterator[tuple[Any, ...]]:
    """Yield each user's earliest click within the last ``window``."""
    earliest: dict[str, Click] = {}
    for click in sorted(clicks, key=lambda c: (c.click_time, c.click_id)):
        if now - window <= click.click_time <= now:
            earliest.setdefault(click.user_id, click)
    for click in earliest.values():
        yield click.user_id, click.click_id, click.source, click.click_time


def time_dependent(
    clicks: Iterable[Click],
    checkouts: Iterable[Checkout],
    now: datetime,
    window: timedelta = WINDOW,
) -> dict[str, list[tuple[Any, ...]]]:
    """Return the relations that depend on the time: last_hour_* and earliest_clicks.

    ``clicks`` and ``checkouts`` are the rows of stg_clicks and checkouts.
    """
    checkouts = list(checkouts)
    with localcontext(EXACT):
        last_hours = {
            f"last_hour_{name}": list(last_hour(insight, checkouts, now))
            for name, insight in INSIGHTS.items()
        }
    return {
        "earliest_clicks": list(earliest_clicks(clicks, now, window)),
        **last_hours,
    }


COLUMNS: dict[str, tuple[str, ...]] = {
    "stg_clicks": Click._fields,
    "stg_purchases": Purchase._fields,
    "rejected_events": RejectedEvent._fields,
    "earliest_clicks": ("user_id", "click_id", "source", "click_time"),
    "purchase_first_clicks": FirstClick._fields,
    "checkouts": Checkout._fields,
    **{f"last_hour_{name}": insight.columns for name, insight in INSIGHTS.items()},
    **{
        f"minute_{name}": ("minute", *insight.columns)
        for name, insight in INSIGHTS.items()
    },
    "rejections": (
        *("topic", "reason", "kafka_partition", "kafka_offset", "kafka_time"),
    ),
    "pipeline_health": (
        *("topic", "accepted", "rejected", "newest_event_time", "newest_kafka_time"),
    ),
}
"""The columns of each relation, in the order of the specification.

pipeline_health lacks lag_messages, freshness_seconds and lost_messages, because they
don't follow from the messages but from when an engine read them.
"""


def relations(
    messages: Iterable[Message],
    reference: Reference,
    now: datetime,
    window: timedelta = WINDOW,
) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every relation at the time ``now``, by relation, unordered.

    ``messages`` are all that the topics hold or ever held, in any order. They include
    those of topics that were deleted and created again, and those that Kafka deleted
    after an engine had read them. ``now`` is a datetime with a time zone; only
    last_hour_* and earliest_clicks depend on it. Nothing expires by itself here: an
    expired event disappears when its tombstone is among the messages.
    """
    messages = list(messages)
    clicks: list[Click] = []
    purchases: list[Purchase] = []
    rejected: list[RejectedEvent] = []
    for message in latest(messages):
        match validate(message, reference):
            case Click() as click:
                clicks.append(click)
            case Purchase() as purchase:
                purchases.append(purchase)
            case reason:
                assert message.value is not None
                rejected.append(
                    RejectedEvent(
                        topic=message.topic,
                        event_key=None if message.key is None else shown(message.key),
                        payload=shown(message.value),
                        reason=reason,
                        kafka_partition=message.partition,
                        kafka_offset=message.offset,
                        kafka_time=message.kafka_time,
                    )
                )

    def present(topic: str) -> list[Message]:
        """Return the messages of the topic that has the name now."""
        of_topic = [message for message in messages if message.topic == topic]
        log = max((message.log for message in of_topic), default=0)
        return [message for message in of_topic if message.log == log]

    clicks_of: dict[str, list[Click]] = defaultdict(list)
    for click in clicks:
        clicks_of[click.user_id].append(click)
    firsts = {
        purchase.purchase_id: first_click(purchase, clicks_of[purchase.user_id], window)
        for purchase in purchases
    }
    checkouts = [
        checkout(purchase, firsts[purchase.purchase_id], reference)
        for purchase in purchases
    ]

    with localcontext(EXACT):
        minutes = {
            f"minute_{name}": list(by_minute(insight, checkouts))
            for name, insight in INSIGHTS.items()
        }
    return {
        "stg_clicks": list(clicks),
        "stg_purchases": list(purchases),
        "rejected_events": list(rejected),
        "purchase_first_clicks": [
            FirstClick(
                purchase_id,
                click.click_id,
                click.click_at,
                click.source,
                click.click_time,
            )
            for purchase_id, click in firsts.items()
            if click is not None
        ],
        "checkouts": list(checkouts),
        **time_dependent(clicks, checkouts, now, window),
        **minutes,
        "rejections": [(row.topic, row.reason, *row[4:]) for row in rejected],
        "pipeline_health": [
            (
                topic,
                len(times),
                sum(row.topic == topic for row in rejected),
                max(times, default=None),
                max((m.kafka_time for m in present(topic)), default=None),
            )
            for topic, times in (
                ("clicks", [click.click_time for click in clicks]),
                ("purchases", [purchase.purchase_time for purchase in purchases]),
            )
        ],
    }
