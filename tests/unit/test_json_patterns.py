"""On Materialize, patterns accept only payloads that are JSON to the oracle as well.

The tests run the patterns with Python's `re`, which has the same syntax as
Materialize's regular expressions, with one difference: in Materialize, `$` matches only
at the end of the text, not before a final newline.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jinja2 import Environment

from conformance.malformed import malformed
from firstclick import oracle
from firstclick.core.project import PROJECT

MACROS = PROJECT / "macros" / "kafka"

# An engine may reject a number with a larger exponent
MOST_EXPONENT = 20

PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b" ", b"\t", b'"', b'""', b'"a"', b"\\"),
    *(b"1", b"-", b"0", b".5", b"e3", b"true", b"null", b"\\n", b"\\u0000", b"\\u0041"),
    *(b"\\ud83d\\ude00", b"\\ud83d", b"\xc3\xa9", b"\xff", b'"b":', b'{"c":[1,{}]}'),
]

DOCUMENT = (
    b'{"a": [1, {"b": "x\\u00e9y", "c": [true, null, -1.5e3]}], "d": "\\ud83d\\ude00",'
    b' "e": {}, "f": [[[]]]}'
)


class Patterns:
    """The macros' patterns, used as the models use them."""

    def __init__(self) -> None:
        returned: list[dict[str, str]] = []
        _macros(MACROS / "messages_read_as_json.sql", returned).json_patterns()
        self._json = {name: _compiled(text) for name, text in returned[0].items()}
        utf8 = str(_macros(MACROS / "text_if_utf8.sql", []).text_if_utf8("payload"))
        pattern = re.search("~ '(.*)'", utf8)
        assert pattern is not None
        self._utf8 = _compiled(pattern[1])

    def text(self, payload: bytes) -> str | None:
        return payload.decode() if self._utf8.search(payload.hex()) else None

    def document(self, payload: bytes) -> Any:
        text = self.text(payload)
        if text is None or not self._json["start_of_object"].search(text):
            return None
        if not self._json["flat_object"].search(text):
            outline = self._json["text"].sub('""', text)
            for _ in range(105):
                outline = self._json["innermost"].sub("null", outline)
            if not self._json["null"].search(outline):
                return None
        return json.loads(text)


def _macros(file: Path, returned: list[Any]) -> Any:
    environment = Environment(extensions=["jinja2.ext.do"])

    def note(value: Any) -> str:
        returned.append(value)
        return ""

    return environment.from_string(file.read_text()).make_module({"return": note})


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


@pytest.fixture(scope="module")
def patterns() -> Patterns:
    return Patterns()


def check(patterns: Patterns, payload: bytes) -> None:
    try:
        text: str | None = payload.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and "\0" in text:
        text = None
    assert patterns.text(payload) == text
    expected = oracle.json_object(payload)
    found = patterns.document(payload)
    if found is None and expected is not None:
        exponents = re.findall(rb"[eE][+-]?([0-9]+)", payload)
        assert any(int(exponent) > MOST_EXPONENT for exponent in exponents), payload
    else:
        assert (found is None) == (expected is None), payload


def test_all_that_can_be_wrong_with_a_message(patterns: Patterns) -> None:
    messages = malformed(datetime.now(UTC), implementation_defined=False, keyless=False)
    assert len(messages) > 1_000
    for message in messages:
        if message.value is not None:
            check(patterns, message.value)


def test_pieces_of_json_in_any_order(patterns: Patterns) -> None:
    random = Random(7)
    for _ in range(5_000):
        pieces = b"".join(random.choices(PIECES, k=random.randint(0, 8)))
        check(patterns, pieces)
        check(patterns, b'{"a":' + pieces + b"}")


def test_a_document_with_an_error(patterns: Patterns) -> None:
    random = Random(7)
    check(patterns, DOCUMENT)
    for _ in range(5_000):
        document = bytearray(DOCUMENT)
        for _ in range(random.randint(1, 3)):
            at = random.randrange(len(document))
            match random.randrange(3):
                case 0:
                    del document[at]
                case 1:
                    document[at:at] = random.choice(PIECES)
                case _:
                    document[at] = random.randrange(256)
        check(patterns, bytes(document))
