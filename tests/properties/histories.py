"""The material of histories: few users, products and keys, so that they collide."""

from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from hypothesis import strategies as st

from conformance.hostile import (
    MINUTE,
    WINDOW,
    Statement,
    no_product,
    no_user,
    product,
    user,
)
from events import ABSENT, Raw, Send, after, click, purchase

CLICKS = [f"click {number}" for number in range(8)]
PURCHASES = [f"purchase {number}" for number in range(5)]
USERS = [f"history {number}" for number in (0, 0, 0, 0, 1, 2)]
PRODUCTS = [f"history {number}" for number in (0, 0, 0, 1)]
GENDERS = ["Female", "Male"]

EXPIRED = -49 * 60 * MINUTE

ANCHORS = [0, -WINDOW, -60 * MINUTE, -30 * MINUTE, -300 * MINUTE, EXPIRED, 7 * MINUTE]
"""Times around which events happen, in milliseconds from a history's start: now, the
edges of the window and of the hour, the past, beyond the retention, and the future. A
history uses two of them."""

NEARBY = {
    "clicks": [
        *(0, 1, -1, 700, -MINUTE, -5 * MINUTE, MINUTE),
        *(-WINDOW, -WINDOW + 1, -WINDOW - 1, -WINDOW + 1_000),
    ],
    "purchases": [0, 1, -1, 500, 1_000, 1_500, MINUTE, WINDOW],
}

MALFORMED: dict[str, list[dict[str, Any]]] = {
    "clicks": [
        {"source": 7},
        {"ip": ABSENT},
        {"click_time": "yesterday"},
        {"key": b"another key"},
        {"user_id": Raw("nobody")},
    ],
    "purchases": [
        {"quantity": 0},
        {"discount": 1},
        {"shipping_cost": "1"},
        {"payment_status": "perhaps"},
        {"product_id": ABSENT},
        {"key": b"another key"},
    ],
}

EDGES: dict[str, list[dict[str, Any]]] = {
    "clicks": [
        {"click_time": "1970-01-01T00:00:00.000Z"},
        {"click_time": "1969-12-31T23:59:59.999Z"},
        {"click_time": "9999-12-31T23:59:59.999Z"},
    ],
    "purchases": [
        {"purchase_time": "1970-01-01T00:00:00.000Z"},
        {"purchase_time": "9999-12-31T23:59:59.999Z"},
        {"quantity": 1_000_000, "discount": 0, "shipping_cost": Raw("999999.999999")},
        {"quantity": Raw("1.0E6"), "discount": Raw("0.000001")},
        {"quantity": 1_000_001},
        {"discount": Raw("0.999999")},
        {"discount": Raw("0.9999999")},
        {"shipping_cost": Raw("1e6")},
        {"shipping_cost": Raw("-0.0")},
        {"total_cost": Raw("999999999.999999")},
        {"total_cost": Raw("-999999999.999999")},
        {"total_cost": Raw("1e9")},
    ],
}
"""Values just inside and just outside the limits of their columns."""


@dataclass(frozen=True, slots=True)
class Payload:
    """An event whose time is relative to an anchor."""

    topic: str
    key: str
    anchor: int
    """The index of the anchor in the history."""
    milliseconds: int
    """Milliseconds from the anchor."""
    fields: dict[str, Any]

    def time(self, anchor: datetime) -> datetime:
        return after(anchor, self.milliseconds)

    def near(self, anchor: datetime) -> Send:
        fields = dict(self.fields)
        user_id = fields.pop("user")
        if self.topic == "clicks":
            return click(self.key, user_id, self.time(anchor), **fields)
        product_id = fields.pop("product")
        return purchase(self.key, user_id, product_id, self.time(anchor), **fields)


def anchored(start: datetime, milliseconds: int) -> datetime:
    """Return an anchor's time; the ones in the past start a minute."""
    time = after(start, milliseconds)
    if milliseconds in (-30 * MINUTE, -300 * MINUTE):
        return time.replace(second=0, microsecond=0)
    return time


@st.composite
def payloads(draw: st.DrawFn, topic: str | None = None) -> Payload:
    """Draw an event of any key: one in ten is malformed, one in ten at a limit."""
    topic = topic or draw(st.sampled_from(["clicks", "purchases"]))
    fields: dict[str, Any] = draw(
        click_fields if topic == "clicks" else purchase_fields
    )
    departures = draw(st.sampled_from([None] * 8 + [EDGES, MALFORMED]))
    if departures is not None:
        fields |= draw(st.sampled_from(departures[topic]))
    return Payload(
        topic,
        draw(st.sampled_from(CLICKS if topic == "clicks" else PURCHASES)),
        draw(st.sampled_from([0, 0, 0, 1])),
        draw(st.sampled_from(NEARBY[topic])),
        fields,
    )


def many_payloads() -> st.SearchStrategy[list[Payload]]:
    """Draw lists of about fifteen events, which Hypothesis may shrink to one."""
    some = st.lists(payloads(), max_size=12)
    return st.builds(
        lambda *parts: [*chain(*parts)], st.lists(payloads(), min_size=1), some, some
    )


some_numbers = st.lists(st.integers(0, 30), min_size=1, max_size=6)
"""Positions of events among those sent so far."""

click_fields = st.fixed_dictionaries(
    {
        "user": st.sampled_from(USERS),
        "click_at": st.sampled_from(["Homepage", "Product"]),
        "source": st.sampled_from(["Google", "Tiktok", "Unknown"]),
    }
)

purchase_fields = st.fixed_dictionaries(
    {
        "user": st.sampled_from(USERS),
        "product": st.sampled_from(PRODUCTS),
        "quantity": st.integers(1, 3),
        "discount": st.sampled_from([0, Raw("0.05"), Raw("0.050"), Raw("1e-6")]),
        "shipping_cost": st.sampled_from([0, Raw("7.50"), Raw("0.000001")]),
        "payment_status": st.sampled_from(["success", "failure"]),
        "description": st.sampled_from(["none", "Insufficient funds"]),
    }
)


def users() -> st.SearchStrategy[list[Statement]]:
    """Draw statements that upsert a user."""
    return st.builds(user, st.sampled_from(USERS), st.sampled_from(GENDERS))


def products() -> st.SearchStrategy[list[Statement]]:
    return st.builds(
        product,
        st.sampled_from(PRODUCTS),
        st.sampled_from(["Plain", "Other"]),
        st.sampled_from(["Things", "Others"]),
        st.sampled_from(["19.99", "20", "0.000001", "0", "999999999.999999"]),
        st.sampled_from(["0.125", "0", "1", "0.000001"]),
    )


def reference_data() -> st.SearchStrategy[list[Statement]]:
    """Draw the initial reference data: the most frequent user and product, and more."""
    some = st.lists(st.one_of(users(), products()), max_size=3)
    return some.map(
        lambda changes: [
            *user(USERS[0], GENDERS[0]),
            *product(PRODUCTS[0], "Plain", "Things", "19.99", "0.125"),
            *(statement for change in changes for statement in change),
        ]
    )


def changes() -> st.SearchStrategy[list[Statement]]:
    """Draw statements that insert, delete or update a row of the reference data."""
    return st.one_of(
        users(),
        products(),
        st.builds(no_user, st.sampled_from(USERS)),
        st.builds(no_product, st.sampled_from(PRODUCTS)),
        st.builds(
            lambda gender: [
                (
                    "update {schema}.users set gender = %s"
                    " where user_id like 'history %%'",
                    (gender,),
                )
            ],
            st.sampled_from(GENDERS),
        ),
        st.builds(
            lambda factor: [
                (
                    "update {schema}.products set price = price * %s"
                    " where product_id like 'history %%' and price < 500000000",
                    (factor,),
                )
            ],
            st.sampled_from([2, 1]),
        ),
    )
