"""The oracle rejects what the specification rejects, with its reasons in order."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from events import CLICK, PURCHASE
from firstclick.oracle import (
    Click,
    Message,
    Purchase,
    Reference,
    is_implementation_defined,
    relations,
    validate,
)

NOW = datetime(2026, 11, 23, 18, 4, 5, 123_000, tzinfo=UTC)
KNOWN = Reference.of_rows(
    [{"user_id": "u", "gender": "Female"}],
    [
        {
            "product_id": "p",
            "product_name": "Name",
            "category": "Category",
            "brand": "Brand",
            "price": Decimal("19.99"),
            "commission_rate": Decimal("0.125"),
        }
    ],
)
FIELDS: dict[str, dict[str, Any]] = {"clicks": CLICK, "purchases": PURCHASE}
KEYS = {"clicks": b"c", "purchases": b"o"}


def judged(
    topic: str, value: bytes | str, key: bytes | None = b"", **message: Any
) -> Any:
    """Validate a message; an empty key stands for the event's correct key."""
    sent: dict[str, Any] = {
        "topic": topic,
        "key": KEYS[topic] if key == b"" else key,
        "value": value.encode() if isinstance(value, str) else value,
        "kafka_time": NOW,
        "partition": 0,
        "offset": 0,
    }
    return validate(Message(**sent | message), KNOWN)


def with_field(topic: str, field: str, text: str) -> Any:
    """Validate a correct event in which one field is replaced by this JSON text."""
    texts = {name: json.dumps(value) for name, value in FIELDS[topic].items()}
    texts[field] = text
    pairs = ", ".join(f'"{name}": {value}' for name, value in texts.items())
    return judged(topic, f"{{{pairs}}}")


def test_a_well_formed_click_is_a_click() -> None:
    assert judged("clicks", json.dumps(CLICK)) == Click(
        click_id="c",
        user_id="u",
        click_at="Product",
        source="Google",
        ip="2001:db8::7",
        click_time=NOW,
    )


def test_a_well_formed_purchase_is_a_purchase() -> None:
    found = judged("purchases", json.dumps(PURCHASE))
    assert found == Purchase(
        purchase_id="o",
        user_id="u",
        product_id="p",
        payment_method="Visa",
        payment_status="success",
        failure_reason=None,
        quantity=2,
        discount=Decimal("0.05"),
        shipping_cost=Decimal("7.5"),
        claimed_total_cost=Decimal(1),
        purchase_time=NOW,
    )
    assert type(found.quantity) is int


def test_a_failure_has_its_description_as_the_reason() -> None:
    failed = PURCHASE | {"payment_status": "failure", "description": "No funds"}
    assert judged("purchases", json.dumps(failed)).failure_reason == "No funds"


def test_a_tombstone_is_neither_an_event_nor_rejected() -> None:
    with pytest.raises(ValueError, match="tombstone"):
        validate(Message("clicks", b"c", None, NOW, 0, 0), KNOWN)


def test_no_key_comes_before_everything_else() -> None:
    assert judged("clicks", b"", key=None) == "no key"


def test_a_key_of_zero_bytes_is_a_key() -> None:
    message = Message("clicks", b"", json.dumps(CLICK).encode(), NOW, 0, 0)
    assert validate(message, KNOWN) == "key differs from click_id"


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b" ", b"click!", b"null", b"true", b"1", b'"{}"', b"[]", b"[{}]"),
        *(b"{", b"{}{}", b"{} x", b"{'a': 1}", b"{a: 1}", b'{"a": 1,}', b'{"a"}'),
        *(b"\xef\xbb\xbf{}", b"\x0c{}", b"\xc2\xa0{}", b"{}\0", b"\0", b"\xff"),
        *(b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\x80"}'),
        *(b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 01}'),
        *(b'{"a": +1}', b'{"a": .5}', b'{"a": 1.}', b'{"a": 0x1}', b'{"a": 1_0}'),
        *('{"a": \uff11}'.encode(), '{"a": 1\u0662}'.encode(), b'{"a": 1e}'),
        *(b'{"a": "\x01"}', b'{"a": "\n"}', rb'{"a": "\x41"}', rb'{"a": "\u12"}'),
        *(rb'{"a": "\u0000"}', rb'{"\u0000": 1}', rb'{"a": [{"b": "\u0000"}]}'),
        *(rb'{"a": "\ud800"}', rb'{"a": "\udc00"}', rb'{"\ud800": 1}'),
        *(rb'{"a": "\ud83d\u0041"}', rb'{"a": "\ude00\ud83d"}'),
        *(rb'{"a": "\ud83d\ude00\ude00"}', rb'{"a": "\ud800", "a": 1}'),
        *(rb'{"a": "\\\u0000"}', rb'{"a": "\\\\\ud800"}'),
        *(rb'{"a": 1e200000, "b": "\u0000"}', b'{"a": 1e200000, "b": 01}'),
        *(b'{"a": 1e200000.5}', b'{"a": 1e200000"}', b'{"a": [1e200000}'),
        *(b"[" * 100_000, b'{"a":' * 100_000),
    ],
)
def test_what_is_no_json_object_is_rejected_as_that(payload: bytes) -> None:
    assert judged("clicks", payload) == "not a JSON object"


@pytest.mark.parametrize(
    "text",
    [
        *("1", "-0", "1e5", "1E+2", "0.5", "null", "true", "[]", "{}", '"a"', "1e400"),
        *(
            r'"\\u0000"',
            r'"\\ud800"',
            r'"\ud83d\ude00"',
            r'"\uD83D\uDE00"',
            r'"\u0001"',
        ),
        *(r'"\/\b\f\n\r\t\"\\"', r'"\u007f"', '"\x7f"', r'"\uffff"', '"\U0010ffff"'),
        *('{"a": 1, "a": 2}', "[" * 90 + "]" * 90, " 1 ", '"\ufeff"', "0e200000"),
        *("1e131072", "1e200000", "1e-16384", "-1e9999999999999999999999", "1E-20000"),
        *('{"a": [1e200000, "1e200000"]}', "9" * 200_000, "0." + "1" * 20_000),
    ],
)
def test_fields_beyond_the_tables_are_ignored(text: str) -> None:
    assert isinstance(with_field("clicks", "more", text), Click)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        *(("1" * 15, False), ("1" * 16, True), ("1." + "0" * 20, False)),
        *(("0." + "0" * 20 + "1", False), ("-0.1234567890123456e3", True)),
        *(
            ("1e400", False),
            (f'"{"1" * 16}"', False),
            (r'"\"[1111111111111111"', False),
        ),
        *(("[" * 99 + "]" * 99, False), ("[" * 100 + "]" * 100, True)),
        *(('{"a":' * 100 + "1" + "}" * 100, True), ("[],{}," * 200 + "1", False)),
        (f'"{"[" * 200}"', False),
    ],
)
def test_what_not_every_engine_holds_is_left_to_them(text: str, left: bool) -> None:
    assert is_implementation_defined(b'{"a": [], "b": ' + text.encode() + b"}") == left


@pytest.mark.parametrize("topic", FIELDS)
def test_a_field_that_is_absent_or_null_is_missing_the_first_one_in_order(
    topic: str,
) -> None:
    fields = FIELDS[topic]
    order = {
        "clicks": ["click_id", "user_id", "click_time", "click_at", "source", "ip"],
        "purchases": list(PURCHASE),
    }[topic]
    for number, field in enumerate(order):
        assert with_field(topic, field, "null") == f"{field} is missing"
        left = {name: fields[name] for name in order[:number]}
        assert judged(topic, json.dumps(left)) == f"{field} is missing"


def test_of_several_wrong_fields_the_first_in_order_is_named() -> None:
    wrong = CLICK | {"click_time": "yesterday", "click_at": 1, "source": None}
    assert judged("clicks", json.dumps(wrong)) == "click_time is not a time"


@pytest.mark.parametrize("text", ['""', "1", "true", "[]", "{}", '["a"]'])
def test_a_text_is_a_json_string_that_is_not_empty(text: str) -> None:
    for field in ("click_id", "user_id", "click_at", "source", "ip"):
        assert with_field("clicks", field, text) == f"{field} is not a text"
    for field in ("product_id", "payment_method", "description"):
        assert with_field("purchases", field, text) == f"{field} is not a text"


@pytest.mark.parametrize("text", ["false", "[]", '"Success"', '""', '"success "', "1"])
def test_a_payment_status_is_success_or_failure(text: str) -> None:
    found = with_field("purchases", "payment_status", text)
    assert found == "payment_status is not success or failure"


@pytest.mark.parametrize(
    "time",
    [
        *("1970-01-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z"),
        *("2000-02-29T00:00:00.000Z", "2026-11-23T00:00:00.001Z"),
    ],
)
def test_a_time_names_a_real_instant_from_1970_on(time: str) -> None:
    found = with_field("clicks", "click_time", json.dumps(time))
    assert found.click_time == datetime.fromisoformat(time)
    assert found.click_time.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "time",
    [
        "1969-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00.000Z",
        "0000-01-01T00:00:00.000Z",
        "2023-02-29T00:00:00.000Z",
        "1900-02-29T00:00:00.000Z",
        "2025-04-31T00:00:00.000Z",
        "2025-01-01T24:00:00.000Z",
        "2025-01-01T23:59:60.000Z",
        "2025-01-01T23:60:00.000Z",
        "2025-13-01T00:00:00.000Z",
        "2025-00-01T00:00:00.000Z",
        "2025-01-00T00:00:00.000Z",
        "2025-01-01t00:00:00.000Z",
        "2025-01-01T00:00:00.000z",
        "2025-01-01T00:00:00,000Z",
        "2025-01-01T00:00:00Z",
        "2025-01-01T00:00:00.00Z",
        "2025-01-01T00:00:00.000000Z",
        "2025-01-01T00:00:00.000",
        "2025-01-01T00:00:00.000+00:00",
        "2025-01-01",
        "now",
        "10000-01-01T00:00:00.000Z",
        "infinity",
        *("", "\uff12025-01-01T00:00:00.000Z", "2025-01-01 00:00:00.000Z"),
        *("2025-01-01T00:00:00.000Z\n", " 2025-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_has_exactly_the_form_of_the_events(time: str) -> None:
    found = with_field("clicks", "click_time", json.dumps(time))
    assert found == "click_time is not a time"


def test_a_time_is_a_string() -> None:
    for text in ("1735689600000", "{}", "true"):
        assert with_field("clicks", "click_time", text) == "click_time is not a time"


NUMBERS = {
    "quantity": (
        "a whole number from 1 to 1000000",
        [
            "1",
            "1.0",
            "1e0",
            "10e-1",
            "2.50e1",
            "1000000",
            "1e6",
            "999999.0000000",
            "1." + "0" * 20000,
            "7" + "0" * 200000 + "e-200000",
        ],
        [
            "0",
            "-1",
            "0.5",
            "1.5",
            "1000001",
            "1e7",
            "1.0000001",
            "1e-1",
            '"1"',
            "[1]",
            "1e200000",
            "1e-20000",
            "0e200000",
            "1e99999999999999999999",
            "9" * 200000,
        ],
    ),
    "discount": (
        "a decimal from 0 to below 1",
        [
            "0",
            "-0",
            "0.05",
            "0.0500000",
            "5E-2",
            "0.999999",
            "1e-6",
            "0.1e-5",
            "0e200000",
            "-0E-20000",
            "0.0e-999999999999",
        ],
        [
            "1",
            "1.0",
            "-0.000001",
            "0.9999999",
            "1e-7",
            '"0.5"',
            "true",
            "0.0000001",
            "1e-20000",
            "-1e-200000",
            "1e-99999999999999999999",
            "0." + "3" * 20000,
        ],
    ),
    "shipping_cost": (
        "a decimal from 0 to below 1000000",
        ["0", "-0.0", "7.5", "999999.999999", "999999.9999990", "1e5"],
        ["1000000", "1e6", "-0.5", "999999.9999999", '"7.5"', "{}"],
    ),
    "total_cost": (
        "a decimal of at most 9 digits before the point",
        ["0", "-1", "999999999.999999", "-999999999.999999", "1e8", "1e-6"],
        ["1000000000", "-1e9", "1e10", "1e400", "1e-7", "0.0000001", '"1"'],
    ),
}


@pytest.mark.parametrize("field", NUMBERS)
def test_a_number_is_in_whichever_notation_of_at_most_6_digits_after_the_point(
    field: str,
) -> None:
    expected, right, wrong = NUMBERS[field]
    column = "claimed_total_cost" if field == "total_cost" else field
    for text in right:
        found = with_field("purchases", field, text)
        assert getattr(found, column) == Decimal(text)
    for text in wrong:
        found = with_field("purchases", field, text)
        assert found == f"{field} is not {expected}"


def test_of_two_fields_of_one_name_the_last_counts() -> None:
    found = judged("clicks", json.dumps(CLICK)[:-1] + ', "source": "Gmail"}')
    assert found.source == "Gmail"
    found = judged("clicks", json.dumps(CLICK)[:-1] + ', "source": null}')
    assert found == "source is missing"


@pytest.mark.parametrize("key", [b"C", b"c ", b"\xff", b"c\0", b'"c"'])
def test_the_key_is_the_events_id_in_utf_8(key: bytes) -> None:
    assert judged("clicks", json.dumps(CLICK), key) == "key differs from click_id"
    emoji = json.dumps(CLICK | {"click_id": "\U0001f600"})
    assert isinstance(judged("clicks", emoji, "\U0001f600".encode()), Click)


def test_the_future_begins_5_minutes_after_the_time_that_kafka_stamped() -> None:
    value = json.dumps(CLICK)
    stamped = NOW - timedelta(minutes=5)
    assert isinstance(judged("clicks", value, kafka_time=stamped), Click)
    stamped -= timedelta(milliseconds=1)
    found = judged("clicks", value, kafka_time=stamped)
    assert found == "click_time is in the future"
    found = judged("purchases", json.dumps(PURCHASE), kafka_time=stamped)
    assert found == "purchase_time is in the future"


def test_an_unknown_user_comes_before_an_unknown_product() -> None:
    strange = PURCHASE | {"product_id": "nothing"}
    assert judged("purchases", json.dumps(strange)) == "unknown product"
    strange["user_id"] = "nobody"
    assert judged("purchases", json.dumps(strange)) == "unknown user"


def test_a_clicks_user_need_not_be_known() -> None:
    assert isinstance(judged("clicks", json.dumps(CLICK | {"user_id": "any"})), Click)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"x", "x"),
        (b"", ""),
        ("é\U0001f600".encode(), "é\U0001f600"),
        (b"\xff\x00", "ff00"),
        (b"a\0", "6100"),
        (b"\xed\xa0\x80", "eda080"),
    ],
)
def test_keys_and_payloads_are_shown_as_text_or_else_in_hexadecimal(
    data: bytes, shown: str
) -> None:
    messages = [Message("clicks", data, data, NOW, 3, 7)]
    found = relations(messages, KNOWN, NOW)
    assert found["rejected_events"] == [
        ("clicks", shown, shown, "not a JSON object", 3, 7, NOW)
    ]
    assert found["rejections"] == [("clicks", "not a JSON object", 3, 7, NOW)]
