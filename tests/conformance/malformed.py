"""What a message can be other than an event, and what only looks as if it were not.

Which of it is rejected, and why, is for the oracle to say.
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from events import ABSENT, Raw, Send, click, purchase

DOCUMENTS: list[bytes] = [
    *(b"", b" ", b"\0", b"null", b"true", b"0", b'"{}"', b"[]", b"[{}]", b"click!"),
    *(b"{}", b" {} ", b"\r\n\t{}", b"{}{}", b"{},", b"{} x", b"{", b"}", b"{}\0"),
    *(b"\xef\xbb\xbf{}", b"\x0b{}", b"\x0c{}", b"\xc2\xa0{}", b"\xe2\x80\xa8{}"),
    *(b"{}\x0b", b"{}\xc2\xa0"),
    *("{}".encode("utf-16"), "{}".encode("utf-16-le"), "{}".encode("utf-32")),
    *(b"{'a': 1}", b"{a: 1}", b'{"a": 1,}', b'{"a"}', b'{"a":}', b"{,}", b'{"a" 1}'),
    *(b"{1: 1}", b"{null: 1}", b"{/**/}", b"{} // ", b"# {}", b"<click/>"),
    *(b'{"a": tru}', b'{"a": True}', b'{"a": undefined}', b'{"a": [1,]}', b'{"": ""}'),
    *(b"\xff", b'{"a": "\xff"}', b'{"\xff": 1}', b'{"a": "\xc0\x80"}', b"\xed\xa0\x80"),
    *(b'{"a": "\xed\xa0\x80"}', b'{"a": "\xf4\x90\x80\x80"}', b'{"a": "\xe2\x82"}'),
    *(b"[" * 10_000 + b"]" * 10_000, b"[" * 100_000, b"x" * 100_000),
]
"""Whole payloads."""

EXTRAS: list[str] = [
    *(r'"\u0000"', r'"a\u0000b"', r'"\\u0000"', r'"\\\u0000"', r'"\\\\u0000"'),
    *(r'{"\u0000": 1}', r'[[["\u0000"]]]', r'{"a": {"b": "\u0000"}}', r'"\u00000"'),
    *(r'"\ud800"', r'"\udfff"', r'"\uDBFF"', r'"\ud83d\ude00"', r'"\uD83D\uDE00"'),
    *(r'"\ude00\ud83d"', r'"\ud83d\ud83d\ude00"', r'"\ud83d\ude00\ude00"'),
    *(r'"\ud83d\u0041"', r'"\ud83d \ude00"', r'"\\ud800"', r'"\ud83d\\ude00"'),
    *(r'{"\ud800": 1}', r'[["\udc00"]]', r'{"a": "\ud800", "a": 1}'),
    *(r'{"a": "\u0000", "a": 1}', r'"\u0001"', r'"\u001f"', r'"\u007f"', r'"\u0080"'),
    *(r'"\uffff"', r'"\ufffe"', r'"\ufdd0"', '"\uffff"', '"\U0010ffff"', '"\ufeff"'),
    *(r'"\x41"', r'"\u12"', r'"\u00g0"', r'"\u 123"', r'"\u+123"', r'"\a"', r'"\0"'),
    *(r'"\/\b\f\n\r\t\"\\"', r'"\U0041"', '"\x01"', '"\t"', '"\n"', '"\x7f"', '"'),
    *("NaN", "Infinity", "-Infinity", "-NaN", "nan", "null", "true", "[]", "{}"),
    *("01", "-01", "+1", ".5", "1.", "-.5", "1e", "1e+", "0x10", "1_000", "- 1", "--1"),
    *("1,5", "\u22121", "\uff11", "\u0661", "1\u0662", "1 2", "1e5", "1E-5", "-0"),
    *("1e15", "123456789012345", "0.00001", "1.5e3", "00", "-", "1.e5", "1.5.5"),
    *("[" * 98 + "]" * 98, '{"a":' * 90 + "1" + "}" * 90),
]
"""Values of a field that is to be ignored, as JSON text."""

IMPLEMENTATION_DEFINED: list[str] = [
    *("1e40", "1e300", "1e400", "-1e400", "1e131071", "1e131072", "1e200000"),
    *("1e-40", "1e-400", "1e-16383", "1e-16384", "0e-16384", "0e200000", "1e-200000"),
    *("-0E-20000", "0.0e200000", "1E-20000", "-1E+200000", "1.e200000", "1e200000.5"),
    *("1e200000 1", "+1e200000", "01e200000", "1e200000x", '1e200000"', "[1e200000}"),
    *("0." + "0" * 17_000, "1." + "0" * 17_000, "1" + "0" * 140_000 + "e-140000"),
    *("0." + "0" * 17_000 + "1", "1" + "0" * 140_000, "0." + "3" * 17_000, "0e0x"),
    *("[1e200000, 1e-200000]", '{"a": {"b": 1e200000}}', '"1e200000"', "1e200000,"),
    *(r'[1e200000, "\u0000"]', r'["\ud800", 1e200000]', r'["\\\"1", 1e200000]'),
    *('2, "quantity": 1e200000', '1e200000, "quantity": 2'),
    *(
        "1e999999999999999999999",
        "-1e-999999999999999999999",
        "9" * 5000,
        "0." + "3" * 99,
    ),
    *("0.500000" + "0" * 20, "0.5000000000000000000001", "1" + "0" * 40 + "e-40"),
    *("2.00000000000000000000", "2.00000000000000000001", "1234567890123456789"),
    *("999999999.9999999999", "1000000.0000000000000000001", "0.99999999999999999999"),
]
"""Numbers of which the specification leaves it to an engine what they are, and what
PostgreSQL's numeric can't hold, with what is wrong about it."""

NUMBERS: list[str] = [
    *("0", "-0", "0.0", "-0.0", "0e0", "1", "1.0", "1.5", "0.5", "0.05", "0.0500000"),
    *("1e0", "1E+0", "1E-0", "10e-1", "0.1e1", "25e-1", "5E-2", "2.50", "1e2", "1e-2"),
    *("0.000001", "0.0000001", "1e-6", "1e-7", "10e-7", "0.1e-6", "0.0000010"),
    *("0.999999", "0.9999999", "0.9999990000", "0.99999999", "-0.000001", "-1e-7"),
    *("999999", "999999.9", "999999.999999", "999999.9999999", "9.99999999999e5"),
    *("1000000", "1000000.0", "1e6", "10e5", "0.1e7", "1000000.000001", "1000001"),
    *("-1", "-1.0", "-0.5", "-1000000", "2", "2.0", "2e0", "20e-1", "7", "1e5"),
    *("999999999", "999999999.999999", "-999999999.999999", "999999999.9999990"),
    *("1000000000", "1e9", "-1e9", "1e10", "1e15", "99999999999999", "-1000000000.5"),
    *('"1"', '"0.5"', '"1e0"', '"NaN"', '"Infinity"', '""', '" 1"', "true", "[1]"),
    *('{"a": 1}', "null", '"one"', "01", "+1", ".5", "1.", "0x1", "NaN", "1_0"),
]
"""Values of the fields that are numbers, as JSON text."""

TIMES: list[str] = [
    *(
        "2024-02-29T00:00:00.000Z",
        "2000-02-29T23:59:59.999Z",
        "1972-02-29T12:00:00.500Z",
    ),
    *(
        "2023-02-29T00:00:00.000Z",
        "1900-02-29T00:00:00.000Z",
        "2100-02-29T00:00:00.000Z",
    ),
    *(
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.001Z",
        "1969-12-31T23:59:59.999Z",
    ),
    *(
        "0000-01-01T00:00:00.000Z",
        "0001-01-01T00:00:00.000Z",
        "1901-01-01T00:00:00.000Z",
    ),
    *(
        "9999-12-31T23:59:59.999Z",
        "9999-12-31T24:00:00.000Z",
        "10000-01-01T00:00:00.000Z",
    ),
    *(
        "2025-01-01T24:00:00.000Z",
        "2025-01-01T25:00:00.000Z",
        "2025-01-01T23:60:00.000Z",
    ),
    *(
        "2025-01-01T23:59:60.000Z",
        "2016-12-31T23:59:60.000Z",
        "2025-01-01T23:59:61.000Z",
    ),
    *(
        "2025-00-01T00:00:00.000Z",
        "2025-13-01T00:00:00.000Z",
        "2025-01-00T00:00:00.000Z",
    ),
    *(
        "2025-04-31T00:00:00.000Z",
        "2025-01-32T00:00:00.000Z",
        "2025-99-99T99:99:99.999Z",
    ),
    *(
        "2025-01-01t00:00:00.000Z",
        "2025-01-01T00:00:00.000z",
        "2025-01-01 00:00:00.000Z",
    ),
    *("2025-01-01T00:00:00Z", "2025-01-01T00:00:00.0Z", "2025-01-01T00:00:00.00Z"),
    *(
        "2025-01-01T00:00:00.0000Z",
        "2025-01-01T00:00:00.000000Z",
        "2025-01-01T00:00:00,000Z",
    ),
    *(
        "2025-01-01T00:00:00.000",
        "2025-01-01T00:00:00.000+00:00",
        "2025-01-01T00:00:00.000+0000",
    ),
    *(
        "2025-01-01T00:00:00.000 Z",
        " 2025-01-01T00:00:00.000Z",
        "2025-01-01T00:00:00.000Z ",
    ),
    *(
        "2025-01-01T00:00:00.000Z\n",
        "\t2025-01-01T00:00:00.000Z",
        "2025-01-01T00:00:00.000ZZ",
    ),
    *(
        "2025-1-1T0:0:0.000Z",
        "25-01-01T00:00:00.000Z",
        "20250101T000000.000Z",
        "2025-01-01",
    ),
    *(
        "+2025-01-01T00:00:00.000Z",
        "-2025-01-01T00:00:00.000Z",
        "2025-W01-1T00:00:00.000Z",
    ),
    *(
        "\uff12025-01-01T00:00:00.000Z",
        "202\u0665-01-01T00:00:00.000Z",
        "2025-001T00:00:00.000Z",
    ),
    *(
        "2025\u221201\u221201T00:00:00.000Z",
        "2025-01-01T00:00:00.00\u00b2Z",
        "2025/01/01T00:00:00.000Z",
    ),
    *(
        "now",
        "today",
        "epoch",
        "infinity",
        "-infinity",
        "yesterday",
        "allballs",
        "0",
        "",
    ),
    *(
        "0000-00-00T00:00:00.000Z",
        "2025-01-01T-1:00:00.000Z",
        "2025-01-01T00:00:0 .000Z",
    ),
    *("2025-01-01T00:00:00.000Z; drop table users", "January 8, 1999", "1735689600000"),
]
"""Texts that are, or are not, a time."""

OF_ANY_FIELD: list[Any] = [
    *(ABSENT, None, "", " ", "\u200b", "null", "1", 1, 0, -1, 1.5, True, False),
    *([], {}, ["a"], {"a": "b"}, "Failure", "success ", "failure", Raw('"a" ')),
]
"""Values of each field in turn."""

KEYS: list[bytes] = [
    *(
        b"",
        b" ",
        b"\0",
        b"k\0",
        b"\0k",
        b"\xff",
        b"k\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
    ),
    *(
        b"K",
        b"k ",
        b" k",
        b'"k"',
        b"k\n",
        "\u212a".encode(),
        "k\u0301".encode(),
        b"null",
    ),
]
"""Keys of a message that says its id is `k`."""


def malformed(
    time: datetime, implementation_defined: bool, keyless: bool
) -> list[Send]:
    """Return a message for each thing that can be wrong, all with keys of their own.

    With ``implementation_defined`` also those on which engines may differ, and with
    ``keyless`` some that have no key.
    """
    messages = []
    for topic, good in _GOOD.items():
        for number, (fields, payload) in enumerate(
            _departures(topic, implementation_defined)
        ):
            event_id = f"malformed {number}"
            message = good(event_id, time, fields)
            if payload is not None:
                message = message._replace(value=payload)
            messages.append(message)
        messages += [good("k", time, {"key": key}) for key in KEYS]
        # Each a row of its own
        if keyless:
            messages += [
                good("none", time, {"key": None}),
                good("none", time, {"key": None}),
                Send(topic, None, b"\xff"),
                Send(topic, None, None),
            ]
    return messages


def _departures(
    topic: str, implementation_defined: bool
) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    for document in DOCUMENTS:
        yield {}, document
    extras = EXTRAS + (IMPLEMENTATION_DEFINED if implementation_defined else [])
    for extra in extras:
        yield {"extra": Raw(extra)}, None
    for field in _FIELDS[topic]:
        for value in OF_ANY_FIELD:
            yield {field: value}, None
        for extra in (r'"\u0000"', r'"\ud800"', r'"\ud83d\ude00"', "1e3"):
            yield {field: Raw(extra)}, None
        # The last of two counts
        again = f'"x", {json.dumps(field)}: '
        for last in ('"y"', "null", "1", r'"\u0000"'):
            yield {field: Raw(again + last)}, None
    for field in _FIELDS[topic]:
        if field.endswith("_time"):
            for text in TIMES:
                yield {field: text}, None
        if field in ("quantity", "discount", "shipping_cost", "total_cost"):
            numbers = NUMBERS + (
                IMPLEMENTATION_DEFINED if implementation_defined else []
            )
            for number in numbers:
                yield {field: Raw(number)}, None


def _good_click(event_id: str, time: datetime, fields: dict[str, Any]) -> Send:
    return click(event_id, "hostile 0", time, **fields)


def _good_purchase(event_id: str, time: datetime, fields: dict[str, Any]) -> Send:
    return purchase(event_id, "hostile 0", "hostile 0", time, **fields)


_GOOD: dict[str, Callable[[str, datetime, dict[str, Any]], Send]] = {
    "clicks": _good_click,
    "purchases": _good_purchase,
}

_FIELDS: dict[str, list[str]] = {
    "clicks": [*("click_id", "user_id", "click_time", "click_at", "source", "ip")],
    "purchases": [
        *("purchase_id", "user_id", "product_id", "quantity", "discount"),
        *("shipping_cost", "total_cost", "payment_method", "payment_status"),
        *("description", "purchase_time"),
    ],
}
