"""JSON as RFC 8259 has it; Python's own reader is more lenient."""

import json
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

MOST_EXPONENT = 999_999
"""Of a number that is not 0: beyond it, up or down, a value is none of any field's."""

DEEPEST, DIGITS = 100, 15
"""Nesting, and significant digits of a number, that every engine holds."""

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_NUMBERS = re.compile(rb"\d[\d.]*")
_ESCAPES = re.compile(
    r"\\(?:u[Dd][89ABab]..\\u[Dd][C-Fc-f]..|(?P<refused>u0000|u[Dd][89A-Fa-f]..)|.)"
)


def json_object(payload: bytes) -> dict[str, Any] | None:
    """Return the object that the payload holds, its numbers as Decimal.

    Of fields of the same name it has the last. None where the payload is anything
    else, holds ``\\u0000`` or an unpaired surrogate anywhere, or nests beyond Python's
    own limit. In place of a number with an exponent beyond ``MOST_EXPONENT`` it has one
    with that, which is no more any field's.
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


def is_implementation_defined(payload: bytes) -> bool:
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
    mantissa, _, exponent = text.lower().partition("e")
    number = Decimal(mantissa)
    if not number:
        return Decimal(0)
    # int() refuses texts of very many digits
    beyond = exponent.lstrip("+-0")
    size = MOST_EXPONENT if len(beyond) > 6 else int(beyond or 0)
    return number.scaleb(-size if exponent.startswith("-") else size, _EXACT)


def _refuse(constant: str) -> None:
    # NaN and Infinity are JavaScript's, not JSON's
    raise ValueError(constant)
