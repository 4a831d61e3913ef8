"""The ways in which a message can be broken, each against a rule of its own."""

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
    """Nothing at all, which is not a tombstone."""
    return b""


def cut_off(fields: Fields, random: Random) -> bytes:
    """A document without its end."""
    document = _encode(fields)
    return document[: random.randrange(1, len(document))]


def not_unicode(fields: Fields, random: Random) -> bytes:
    """A byte that is not UTF-8."""
    return _encode(fields).replace(b':"', b':"\xff', 1)


def not_an_object(fields: Fields, random: Random) -> bytes:
    """An array of the values."""
    return _encode(list(fields.values()))


def null_character(fields: Fields, random: Random) -> bytes:
    """A character that PostgreSQL can't hold."""
    return _encode(fields | {"user_id": fields["user_id"] + "\0"})


def missing_field(fields: Fields, random: Random) -> bytes:
    """One field less."""
    gone = random.choice(list(fields))
    return _encode({name: value for name, value in fields.items() if name != gone})


def null_field(fields: Fields, random: Random) -> bytes:
    """A field that is null."""
    return _encode(fields | {random.choice(list(fields)): None})


def wrong_type(fields: Fields, random: Random) -> bytes:
    """A number for a text or a text for a number."""
    name, value = random.choice(list(fields.items()))
    return _encode(fields | {name: 7 if isinstance(value, str) else str(value)})


def unreasonable_value(fields: Fields, random: Random) -> bytes:
    """A value of the right type that its field can't have."""
    name = random.choice([name for name in fields if name in UNREASONABLE])
    return _encode(fields | {name: UNREASONABLE[name]})


def time_out_of_form(fields: Fields, random: Random) -> bytes:
    """A time written otherwise, or of a day that no calendar has."""
    name = _name(fields, "_time")
    time = fields[name]
    wrong = random.choice(
        (time.replace("T", " "), time[:19] + "Z", f"{time[:4]}-02-30{time[10:]}")
    )
    return _encode(fields | {name: wrong})


def time_in_the_future(fields: Fields, random: Random) -> bytes:
    """A time that is years away."""
    name = _name(fields, "_time")
    year = int(fields[name][:4]) + 4
    return _encode(fields | {name: f"{year}{fields[name][4:]}"})


def other_id(fields: Fields, random: Random) -> bytes:
    """An id that differs from the key."""
    name = next(iter(fields))
    return _encode(fields | {name: fields[name][::-1]})


def unknown_reference(fields: Fields, random: Random) -> bytes:
    """A user or a product that the reference data lacks."""
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
