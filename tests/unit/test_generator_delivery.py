"""The generator's messages, and the anomalies among them."""

import json
import re
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from firstclick.core.errors import SettingsError
from firstclick_generator import (
    SEEDS,
    Delivery,
    DeliveryKind,
    Event,
    Product,
    Shop,
    User,
    deliveries,
    generate,
    read_rows,
)
from firstclick_generator.malformed import MALFORMATIONS

USERS = read_rows(SEEDS / "users.csv", User)
PRODUCTS = read_rows(SEEDS / "products.csv", Product)
START = 1_795_500_000.25
ANOMALY_RATE = 0.1

TEXTS = {
    "clicks": ("click_id", "user_id", "click_at", "source", "ip"),
    "purchases": (
        "purchase_id",
        "user_id",
        "product_id",
        "payment_method",
        "description",
    ),
}
ALLOWED = {
    "click_at": {"Homepage", "Product"},
    "source": {
        *("Facebook", "Google", "Tiktok", "Twitter", "Youtube", "Gmail", "Unknown")
    },
    "payment_method": {
        *("Visa", "MasterCard", "Stripe", "Payment on Delivery"),
        *("Paypal", "Alipay", "Skrill"),
    },
}
LIMITS = {"discount": 1, "shipping_cost": 1_000_000}
KNOWN = {
    "user": {user.user_id for user in USERS},
    "product": {product.product_id for product in PRODUCTS},
}
REASONS = {
    "empty": "not a JSON object",
    "cut_off": "not a JSON object",
    "not_unicode": "not a JSON object",
    "not_an_object": "not a JSON object",
    "null_character": "not a JSON object",
    "missing_field": "is missing",
    "null_field": "is missing",
    "wrong_type": "is not",
    "unreasonable_value": "is not",
    "time_out_of_form": "is not",
    "time_in_the_future": "is in the future",
    "other_id": "key differs",
    "unknown_reference": "unknown (user|product)",
}


def events(seed: int = 1, seconds: float = 300) -> list[tuple[int, Event]]:
    return list(Shop(seed, USERS, PRODUCTS).events(START, START + seconds, 100))


def messages(anomaly_rate: float = ANOMALY_RATE, seed: int = 1) -> list[Delivery]:
    return list(deliveries(events(seed), Random(seed), anomaly_rate))


@pytest.fixture(scope="module")
def with_anomalies() -> list[Delivery]:
    return messages()


def reason(message: Delivery) -> str | None:
    """Return why the specification rejects a message, if Kafka stamps it in time."""
    try:
        text = message.payload.decode()
        fields = json.loads(text, parse_float=Decimal)
    except ValueError:
        return "not a JSON object"
    if not isinstance(fields, dict) or "\\u0000" in text:
        return "not a JSON object"
    kind = message.topic.removesuffix("s")
    for name in (*TEXTS[message.topic], *_others(message.topic)):
        if fields.get(name) is None:
            return f"{name} is missing"
    return _mistyped(message, fields) or _inconsistent(message, kind, fields)


def _others(topic: str) -> tuple[str, ...]:
    if topic == "clicks":
        return ("click_time",)
    numbers = ("quantity", "discount", "shipping_cost", "total_cost")
    return (*numbers, "payment_status", "purchase_time")


def _mistyped(message: Delivery, fields: dict[str, Any]) -> str | None:
    for name in TEXTS[message.topic]:
        if not isinstance(fields[name], str) or fields[name] == "":
            return f"{name} is not a text"
    for name in _others(message.topic):
        value = fields[name]
        if name.endswith("_time"):
            if not _is_time(value):
                return f"{name} is not a time"
        elif name == "payment_status":
            if value not in ("success", "failure"):
                return f"{name} is not success or failure"
        elif not isinstance(value, int | Decimal) or not _is_within(name, value):
            return f"{name} is not a number that it may be"
    return None


def _is_time(value: object) -> bool:
    form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    if not isinstance(value, str) or not re.fullmatch(form, value):
        return False
    try:
        return datetime.fromisoformat(value).timestamp() >= 0
    except ValueError:
        return False


def _is_within(name: str, value: int | Decimal) -> bool:
    if name == "quantity":
        return isinstance(value, int) and 1 <= value <= 1_000_000
    if round(Decimal(value), 6) != value:
        return False
    if name == "total_cost":
        return -(10**9) < value < 10**9
    return bool(0 <= value < LIMITS[name])


def _inconsistent(message: Delivery, kind: str, fields: dict[str, Any]) -> str | None:
    if fields[f"{kind}_id"].encode() != message.key:
        return f"key differs from {kind}_id"
    moment = datetime.fromisoformat(fields[f"{kind}_time"]).timestamp()
    if moment > message.at / 1000 + 300:
        return f"{kind}_time is in the future"
    for reference, known in KNOWN.items():
        if fields.get(f"{reference}_id", next(iter(known))) not in known:
            return f"unknown {reference}"
    return None


def test_without_anomalies_each_event_is_one_message_in_time_and_in_order() -> None:
    happened = events()
    sent = messages(anomaly_rate=0)
    assert [message.at for message in sent] == [now for now, _ in happened]
    assert [message.key.decode() for message in sent] == [
        event.key for _, event in happened
    ]
    assert {message.kind for message in sent} == {DeliveryKind.IN_TIME}


def test_every_message_that_is_not_malformed_meets_the_specification(
    with_anomalies: list[Delivery],
) -> None:
    for message in with_anomalies:
        if message.kind is not DeliveryKind.MALFORMED:
            assert reason(message) is None, message
            fields = json.loads(message.payload)
            for name, values in ALLOWED.items():
                assert fields.get(name, next(iter(values))) in values


def test_every_malformed_message_is_rejected_by_the_specification(
    with_anomalies: list[Delivery],
) -> None:
    malformed = [
        message for message in with_anomalies if message.kind is DeliveryKind.MALFORMED
    ]
    assert len({reason(message) for message in malformed}) > 15
    for message in malformed:
        assert reason(message) is not None, message


@pytest.mark.parametrize("name", MALFORMATIONS)
def test_a_malformation_breaks_the_rule_that_it_is_named_after(name: str) -> None:
    random = Random(name)
    for now, event in events(seconds=5):
        topic = type(event).__name__.lower() + "s"
        payload = MALFORMATIONS[name](msgspec.structs.asdict(event), random)
        message = Delivery(now, topic, event.key.encode(), payload)
        found = reason(message)
        assert found is not None and re.search(REASONS[name], found), message


def test_no_message_has_an_empty_key(with_anomalies: list[Delivery]) -> None:
    assert all(message.key for message in with_anomalies)


def test_the_share_of_anomalies_is_as_asked_and_in_equal_parts(
    with_anomalies: list[Delivery],
) -> None:
    kinds = Counter(message.kind for message in with_anomalies)
    assert kinds.keys() == set(DeliveryKind)
    for kind in set(DeliveryKind) - {DeliveryKind.IN_TIME}:
        assert 0.8 < kinds[kind] / (len(events()) * ANOMALY_RATE / 4) < 1.2


def test_an_event_comes_once_or_is_malformed_or_comes_twice(
    with_anomalies: list[Delivery],
) -> None:
    kinds: dict[str, list[DeliveryKind]] = defaultdict(list)
    for message in with_anomalies:
        kinds[message.key.decode()].append(message.kind)
    assert kinds.keys() == {event.key for _, event in events()}
    assert {tuple(found) for found in kinds.values()} == {
        (DeliveryKind.IN_TIME,),
        (DeliveryKind.LATE,),
        (DeliveryKind.OUT_OF_ORDER,),
        (DeliveryKind.IN_TIME, DeliveryKind.AGAIN),
        (DeliveryKind.MALFORMED,),
    }


def test_a_message_that_comes_twice_is_the_same_both_times(
    with_anomalies: list[Delivery],
) -> None:
    payloads: dict[bytes, set[bytes]] = defaultdict(set)
    for message in with_anomalies:
        payloads[message.key].add(message.payload)
    assert all(len(found) == 1 for found in payloads.values())


def test_late_is_by_minutes_and_out_of_order_by_seconds(
    with_anomalies: list[Delivery],
) -> None:
    happened = {event.key: now for now, event in events()}
    delays: dict[DeliveryKind, list[float]] = defaultdict(list)
    for message in with_anomalies:
        delay = (message.at - happened[message.key.decode()]) / 1000
        delays[message.kind].append(delay)
    assert set(delays[DeliveryKind.IN_TIME]) == {0}
    assert min(delays[DeliveryKind.OUT_OF_ORDER]) > 0
    assert max(delays[DeliveryKind.OUT_OF_ORDER]) <= 10
    assert min(delays[DeliveryKind.LATE]) >= 60
    assert 300 < max(delays[DeliveryKind.LATE]) <= 600


def test_messages_come_in_the_order_in_which_they_are_due(
    with_anomalies: list[Delivery],
) -> None:
    assert all(before.at <= after.at for before, after in pairwise(with_anomalies))


def test_the_same_seed_makes_the_same_anomalies(with_anomalies: list[Delivery]) -> None:
    assert messages() == with_anomalies


def test_anomalies_do_not_change_what_happens_in_the_shop(
    with_anomalies: list[Delivery],
) -> None:
    clean = {message.key: message.payload for message in messages(anomaly_rate=0)}
    for message in with_anomalies:
        if message.kind is not DeliveryKind.MALFORMED:
            assert clean[message.key] == message.payload


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 0.0),
        ("rate", float("nan")),
        ("duration", -1.0),
        ("anomaly_rate", 1.5),
        ("backfill_hours", -1.0),
    ],
)
def test_a_value_that_can_not_be_used_is_refused(name: str, value: float) -> None:
    values: dict[str, Any] = {"rate": 1.0, "duration": 1.0, name: value}
    with pytest.raises(SettingsError, match=rf"{name} was expected .* {value}"):
        generate("127.0.0.1:9", **values)
