"""JSON as RFC 8259 has it; Python's own reader is more lenient."""

import json
import re
from decimal import Decimal
from typing import Any

MOST_DIGITS = 131_072, 16_383
"""Before and after a number's point: more than that no engine holds."""

DEEPEST, DIGITS = 100, 15
"""Nesting, and significant digits of a number, that every engine holds."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_NUMBERS = re.compile(rb"\d[\d.]*")
_ESCAPES = re.compile(
    r"\\(?:u[Dd][89ABab]..\\u[Dd][C-Fc-f]..|(?P<refused>u0000|u[Dd][89A-Fa-f]..)|.)"
)


def json_object(payload: bytes) -> dict[str, Any] | None:
    """Return the object that the payload holds, its numbers as Decimal.

    Of fields of the same name it has the last. None where the payload is anything
    else, holds ``\\u0000`` or an unpaired surrogate anywhere, or is more than an engine
    holds: a number of too many digits, or nesting beyond Python's own limit.
    """
    try:
        text = payload.decode("utf-8")
        document = json.loads(
            text, parse_int=_number, parse_float=_number, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        return None
    if any(escape["refused"] for escape in _ESCAPES.finditer(text)):
        return None
    return document if isinstance(document, dict) else None


def is_left_to_engines(payload: bytes) -> bool:
    """Whether it holds more than every engine does, of which the contract lets one make
    a rejection, or the nearest number: over 15 digits, or nesting deeper than 100."""
    outline = _STRINGS.sub(b"", payload)
    depth = deepest = 0
    for bracket in _BRACKETS.findall(outline):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > DEEPEST or any(
        len(digits.replace(b".", b"").strip(b"0")) > DIGITS
        for digits in _NUMBERS.findall(outline)
    )


def _number(text: str) -> Decimal:
    before, after = MOST_DIGITS
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise ValueError(text) from error
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -after or (number and number.adjusted() >= before):
        raise ValueError(text)
    return number


def _refuse(constant: str) -> None:
    # NaN and Infinity are JavaScript's, not JSON's
    raise ValueError(constant)
