"""The ways in which a message can be malformed, each breaking another rule."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import msgspec

Fields = dict[str, Any]

UNREASONABLE = {
    "source": "",
    "quantity": 0,
    "discount": 1.5,
    "shipping_cost": -4.95,
    "total_cost": 1e12,
    "payment_status": "pending",
}

_encode = msgspec.json.Encoder().encode


def empty(fields: Fields, random: Random) -> bytes:
    """Return zero bytes, which is not a tombstone."""
    return b""


def cut_off(fields: Fields, random: Random) -> bytes:
    """Return a document without its end."""
    document = _encode(fields)
    return document[: random.randrange(1, len(document))]


def not_unicode(fields: Fields, random: Random) -> bytes:
    """Return a document with a byte that is not UTF-8."""
    return _encode(fields).replace(b':"', b':"\xff', 1)


def not_an_object(fields: Fields, random: Random) -> bytes:
    """Return the values as an array."""
    return _encode(list(fields.values()))


def null_character(fields: Fields, random: Random) -> bytes:
    """Return a document with `\\u0000`, which PostgreSQL can't store."""
    return _encode(fields | {"user_id": fields["user_id"] + "\0"})


def missing_field(fields: Fields, random: Random) -> bytes:
    """Return a document that lacks one field."""
    gone = random.choice(list(fields))
    return _encode({name: value for name, value in fields.items() if name != gone})


def null_field(fields: Fields, random: Random) -> bytes:
    """Return a document in which one field is null."""
    return _encode(fields | {random.choice(list(fields)): None})


def wrong_type(fields: Fields, random: Random) -> bytes:
    """Return a document with a number in place of a text, or a text for a number."""
    name, value = random.choice(list(fields.items()))
    return _encode(fields | {name: 7 if isinstance(value, str) else str(value)})


def unreasonable_value(fields: Fields, random: Random) -> bytes:
    """Return a document with a value of the right type that its field doesn't allow."""
    name = random.choice([name for name in fields if name in UNREASONABLE])
    return _encode(fields | {name: UNREASONABLE[name]})


def time_out_of_form(fields: Fields, random: Random) -> bytes:
    """Return a document with a time in another format, or on February 30."""
    name = _name(fields, "_time")
    time = fields[name]
    wrong = random.choice(
        (time.replace("T", " "), time[:19] + "Z", f"{time[:4]}-02-30{time[10:]}")
    )
    return _encode(fields | {name: wrong})


def time_in_the_future(fields: Fields, random: Random) -> bytes:
    """Return a document with a time four years from now."""
    name = _name(fields, "_time")
    year = int(fields[name][:4]) + 4
    return _encode(fields | {name: f"{year}{fields[name][4:]}"})


def other_id(fields: Fields, random: Random) -> bytes:
    """Return a document whose id differs from the message's key."""
    name = next(iter(fields))
    return _encode(fields | {name: fields[name][::-1]})


def unknown_reference(fields: Fields, random: Random) -> bytes:
    """Return a document with a user or a product that the reference data lacks."""
    name = random.choice([name for name in ("user_id", "product_id") if name in fields])
    return _encode(fields | {name: f"{fields[name]}-{random.getrandbits(16):04x}"})


def _name(fields: Fields, ending: str) -> str:
    return next(name for name in fields if name.endswith(ending))


MALFORMATIONS: Mapping[str, Callable[[Fields, Random], bytes]] = {
    made.__name__: made
    for made in (
        empty,
        cut_off,
        not_unicode,
        not_an_object,
        null_character,
        missing_field,
        null_field,
        wrong_type,
        unreasonable_value,
        time_out_of_form,
        time_in_the_future,
        other_id,
        unknown_reference,
    )
}
