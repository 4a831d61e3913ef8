"""Messages as data: well-formed ones, and any departure from them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

CLICK: Final = {
    "click_id": "c",
    "user_id": "u",
    "click_time": "2026-11-23T18:04:05.123Z",
    "click_at": "Product",
    "source": "Google",
    "ip": "2001:db8::7",
}
PURCHASE: Final = {
    "purchase_id": "o",
    "user_id": "u",
    "product_id": "p",
    "quantity": 2,
    "discount": 0.05,
    "shipping_cost": 7.5,
    "total_cost": 1,
    "payment_method": "Visa",
    "payment_status": "success",
    "description": "none",
    "purchase_time": "2026-11-23T18:04:05.123Z",
}
"""A well-formed event of each topic, for tests to vary."""


class Send(NamedTuple):
    """A message to be sent to `clicks` or `purchases`."""

    topic: str
    key: bytes | None
    value: bytes | None


class Raw(str):
    """A value as JSON text, so that it can be what no encoder would write."""


ABSENT: Final = object()
"""Stands for a field that is not there."""

_SAME: Final = object()


def time_text(time: datetime) -> str:
    """A time in the form of the events."""
    text = time.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def after(time: datetime, milliseconds: int) -> datetime:
    return time + timedelta(milliseconds=milliseconds)


def click(click_id: str, user_id: str, time: datetime, /, **fields: Any) -> Send:
    """A click; ``fields`` replace its own, ``key`` its message's key."""
    own = {"click_id": click_id, "user_id": user_id, "click_time": time_text(time)}
    return event("clicks", click_id, CLICK | own, **fields)


def purchase(
    purchase_id: str, user_id: str, product_id: str, time: datetime, /, **fields: Any
) -> Send:
    """A purchase; ``fields`` replace its own, ``key`` its message's key."""
    own = {
        "purchase_id": purchase_id,
        "user_id": user_id,
        "product_id": product_id,
        "purchase_time": time_text(time),
    }
    return event("purchases", purchase_id, PURCHASE | own, **fields)


def failed(purchase_id: str, user_id: str, product_id: str, time: datetime) -> Send:
    return purchase(
        *(purchase_id, user_id, product_id, time),
        payment_status="failure",
        description="Insufficient funds",
    )


def event(
    topic: str,
    event_id: str,
    fields: dict[str, Any],
    /,
    key: Any = _SAME,
    **changes: Any,
) -> Send:
    """A message of a topic: ``fields`` with ``changes``, keyed by its id or ``key``."""
    fields = fields | changes
    text = ", ".join(
        f"{json.dumps(name)}: {_json(value)}"
        for name, value in fields.items()
        if value is not ABSENT
    )
    key = event_id.encode() if key is _SAME else key
    return Send(topic, key, f"{{{text}}}".encode())


def deletion(message: Send) -> Send:
    """The tombstone of a message's key."""
    return message._replace(value=None)


def _json(value: Any) -> str:
    return value if isinstance(value, Raw) else json.dumps(value, ensure_ascii=False)
