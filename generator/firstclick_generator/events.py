"""The two kinds of events, and the text forms of ids and times."""

from datetime import UTC, datetime
from functools import lru_cache

import msgspec


class Click(msgspec.Struct, frozen=True, gc=False):
    """A click that leads to the shop or happens within it; times as in `time_text`."""

    click_id: str
    user_id: str
    click_time: str
    click_at: str
    source: str
    ip: str

    @property
    def key(self) -> str:
        """The id, which is also the key of the Kafka message."""
        return self.click_id


class Purchase(msgspec.Struct, frozen=True, gc=False):
    """A purchase as the shop reports it; `total_cost` is a claim and may be wrong."""

    purchase_id: str
    user_id: str
    product_id: str
    quantity: int
    discount: float
    shipping_cost: float
    total_cost: float
    payment_method: str
    payment_status: str
    description: str
    purchase_time: str

    @property
    def key(self) -> str:
        """The id, which is also the key of the Kafka message."""
        return self.purchase_id


Event = Click | Purchase


def uuid7(milliseconds: int, bits: int) -> str:
    """Return the UUIDv7 of a time (ms since 1970) and 74 bits (RFC 9562, 5.7)."""
    return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031 (twice as fast)
        milliseconds >> 16,
        milliseconds & 0xFFFF,
        bits >> 62,
        0x8000 | bits >> 48 & 0x3FFF,
        bits & 0xFFFFFFFFFFFF,
    )


def time_text(milliseconds: int) -> str:
    """Format milliseconds since 1970, for example as `2026-11-23T18:04:05.123Z`."""
    second, rest = divmod(milliseconds, 1000)
    return f"{_second_text(second)}.{rest:03}Z"


@lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
