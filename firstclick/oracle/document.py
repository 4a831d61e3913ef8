"""JSON according to RFC 8259. Python's own parser accepts more than that."""

import json
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

MOST_EXPONENT = 999_999
"""The largest exponent, up or down, of a number other than 0. No field accepts a number
with a larger one, so its exact value doesn't matter."""

DEEPEST, DIGITS = 100, 15
"""The nesting depth and the significant digits of a number that every engine keeps."""

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_NUMBERS = re.compile(rb"\d[\d.]*")
_ESCAPES = re.compile(
    r"\\(?:u[Dd][89ABab]..\\u[Dd][C-Fc-f]..|(?P<refused>u0000|u[Dd][89A-Fa-f]..)|.)"
)


def json_object(payload: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a payload, with numbers as Decimal.

    If a field occurs twice, the last one counts. Returns None if the payload isn't a
    JSON object, contains ``\\u0000`` or an unpaired surrogate anywhere, or is nested
    deeper than Python's parser allows. An exponent beyond ``MOST_EXPONENT`` is replaced
    by that one, which no field accepts either.
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
    """Return whether the engines may differ on a payload.

    The specification allows them to differ on numbers of more than 15 significant
    digits and on nesting deeper than 100. There, an engine may reject the event or read
    the nearest number.
    """
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
    # int() refuses strings with more than 4,300 digits
    beyond = exponent.lstrip("+-0")
    size = MOST_EXPONENT if len(beyond) > 6 else int(beyond or 0)
    return number.scaleb(-size if exponent.startswith("-") else size, _EXACT)


def _refuse(constant: str) -> None:
    # NaN and Infinity are JavaScript, not JSON
    raise ValueError(constant)
