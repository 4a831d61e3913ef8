"""Events and their rejection: decides whether a message is a valid event."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Self

from firstclick.oracle.document import json_object

AHEAD = timedelta(minutes=5)
"""How much later than Kafka's timestamp of its message an event may be."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as Kafka stores it. If the value is None, it is a tombstone."""

    topic: str
    """`clicks` or `purchases`, without the prefix that it may have in Kafka."""
    key: bytes | None
    value: bytes | None
    kafka_time: datetime
    """When Kafka appended it, with a time zone."""
    partition: int
    """Negative if an engine shows it so, for a message of an earlier log."""
    offset: int
    log: int = 0
    """Number of the topic among those that had this name: each time somebody deletes
    the topic and creates it again, the number is greater."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference data: the columns of each row, by user_id and by product_id.

    Users need `gender`. Products need `product_name`, `category`, `brand`, and as
    Decimal `price` and `commission_rate`.
    """

    users: Mapping[str, Mapping[str, Any]]
    products: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of_rows(
        cls, users: Iterable[Mapping[str, Any]], products: Iterable[Mapping[str, Any]]
    ) -> Self:
        """Return the reference data of the tables' rows, each a mapping of columns."""
        return cls(
            {user["user_id"]: user for user in users},
            {product["product_id"]: product for product in products},
        )


class Click(NamedTuple):
    """An accepted click: a row of stg_clicks."""

    click_id: str
    user_id: str
    click_at: str
    source: str
    ip: str
    click_time: datetime


class Purchase(NamedTuple):
    """An accepted purchase: a row of stg_purchases."""

    purchase_id: str
    user_id: str
    product_id: str
    payment_method: str
    payment_status: str
    failure_reason: str | None
    quantity: int
    discount: Decimal
    shipping_cost: Decimal
    claimed_total_cost: Decimal
    purchase_time: datetime


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a field."""

    expected: str
    """Its description in the reason of a rejection."""
    read: Callable[[Any], Any]
    """Converts a JSON value to the type. Returns None if the value doesn't fit."""


def a_text(value: Any) -> str | None:
    """Return a string that isn't empty, else None."""
    return value if isinstance(value, str) and value else None


def a_time(value: Any) -> datetime | None:
    """Return a time such as ``2026-11-23T18:04:05.123Z``, else None."""
    form = r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z"
    if not isinstance(value, str):
        return None
    match = re.fullmatch(form, value, re.ASCII)
    if match is None:
        return None
    year, month, day, hour, minute, second, millisecond = map(int, match.groups())
    try:
        instant = datetime(
            *(year, month, day, hour, minute, second, 1000 * millisecond), tzinfo=UTC
        )
    except ValueError:
        return None
    return instant if year >= 1970 else None


def a_number(
    holds: Callable[[Decimal], bool], places: int = 6
) -> Callable[[Any], Decimal | None]:
    """Return a reader of JSON numbers that satisfy ``holds``.

    The numbers may have at most ``places`` digits after the decimal point.
    """

    def read(value: Any) -> Decimal | None:
        right = isinstance(value, Decimal) and holds(value) and _places(value) <= places
        return value if right else None

    return read


def _places(value: Decimal) -> int:
    """Return the number of digits after the decimal point, without zeros at the end."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return -(exponent + zeros) if any(digits) else 0


def a_status(value: Any) -> str | None:
    """Return a payment status, else None."""
    return value if value in ("success", "failure") else None


TEXT = Kind("a text", a_text)
TIME = Kind("a time", a_time)

FIELDS: dict[str, dict[str, Kind]] = {
    "clicks": {
        "click_id": TEXT,
        "user_id": TEXT,
        "click_time": TIME,
        "click_at": TEXT,
        "source": TEXT,
        "ip": TEXT,
    },
    "purchases": {
        "purchase_id": TEXT,
        "user_id": TEXT,
        "product_id": TEXT,
        "quantity": Kind(
            "a whole number from 1 to 1000000",
            a_number(lambda value: 1 <= value <= 1_000_000, places=0),
        ),
        "discount": Kind(
            "a decimal from 0 to below 1", a_number(lambda value: 0 <= value < 1)
        ),
        "shipping_cost": Kind(
            "a decimal from 0 to below 1000000",
            a_number(lambda value: 0 <= value < 1_000_000),
        ),
        "total_cost": Kind(
            "a decimal of at most 9 digits before the point",
            a_number(lambda value: -(10**9) < value < 10**9),
        ),
        "payment_method": TEXT,
        "payment_status": Kind("success or failure", a_status),
        "description": TEXT,
        "purchase_time": TIME,
    },
}
"""The fields of each topic, in the order in which they are validated."""

ID_AND_TIME: dict[str, tuple[str, str]] = {
    "clicks": ("click_id", "click_time"),
    "purchases": ("purchase_id", "purchase_time"),
}

Outcome = Click | Purchase | str


def validate(message: Message, reference: Reference) -> Outcome:
    """Return a message's event, or the reason why it is rejected.

    The reason is the first one that applies, in the words of the specification, for
    example ``user_id is missing``. Raises ValueError for a tombstone.
    """
    if message.value is None:
        raise ValueError("a tombstone was given, expected a message with a value")
    if message.key is None:
        return "no key"
    document = json_object(message.value)
    if document is None:
        return "not a JSON object"
    fields: dict[str, Any] = {}
    for field, kind in FIELDS[message.topic].items():
        given = document.get(field)
        if given is None:
            return f"{field} is missing"
        fields[field] = kind.read(given)
        if fields[field] is None:
            return f"{field} is not {kind.expected}"
    event_id, event_time = ID_AND_TIME[message.topic]
    if message.key != fields[event_id].encode("utf-8"):
        return f"key differs from {event_id}"
    if fields[event_time] > message.kafka_time + AHEAD:
        return f"{event_time} is in the future"
    if message.topic == "clicks":
        return Click(**fields)
    if fields["user_id"] not in reference.users:
        return "unknown user"
    if fields["product_id"] not in reference.products:
        return "unknown product"
    return _purchase(**fields)


def _purchase(
    *, quantity: Decimal, total_cost: Decimal, description: str, **fields: Any
) -> Purchase:
    failed = fields["payment_status"] == "failure"
    return Purchase(
        failure_reason=description if failed else None,
        quantity=int(quantity),
        claimed_total_cost=total_cost,
        **fields,
    )
