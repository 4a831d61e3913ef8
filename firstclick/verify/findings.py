"""The results of a verification."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

SHOWN_ROWS = 5
"""How many differing rows of each side are kept as examples."""
_SHOWN_CHARACTERS = 60

Row = tuple[Any, ...]


class Example(msgspec.Struct, frozen=True):
    """A row that only one side has, by column."""

    side: str
    """`stored` or `expected`."""
    row: dict[str, Any]


class Finding(msgspec.Struct, frozen=True):
    """The result of comparing one relation."""

    relation: str
    compared: int
    """How many rows the relation holds, or how many were looked up in it."""
    differing: int
    """How many rows are not as expected.

    A missing row counts, and so does a surplus one; a changed row counts once.
    """
    examples: list[Example] = []

    def __str__(self) -> str:
        text = f"{self.relation}: {self.differing:,} of {self.compared:,} rows differ"
        sides = {example.side: example.row for example in reversed(self.examples)}
        for side in ("stored", "expected"):
            shown = _in_words(sides[side]) if side in sides else "no such row"
            text += f"; {side}: {shown}"
        return text


class Verification(msgspec.Struct, frozen=True):
    """The output of ``firstclick verify``; ``--json`` prints exactly this."""

    equal: bool
    target: str
    at: datetime
    """The moment whose state was compared."""
    seed: int
    """Selects the sample. The same seed selects the same messages again."""
    seconds: float
    recomputed: list[Finding] | None
    """Relations compared with plain SQL over the raw tables.

    None on a streaming engine, which keeps no SQL to recompute by.
    """
    sampled: list[Finding]
    """Relations compared with the oracle, for a sample of messages."""
    triggers: list[str] = []
    """Triggers that are not as they were deployed, so changes may bypass them."""

    @property
    def first_difference(self) -> Finding | None:
        findings = chain(self.recomputed or [], self.sampled)
        return next((finding for finding in findings if finding.differing), None)


def differing_rows(
    expected: Iterable[Row], stored: Iterable[Row]
) -> tuple[list[Row], list[Row]]:
    """Return the rows that are missing and those that are not expected, sorted.

    Rows are compared exactly. A row that occurs twice must be expected twice.
    """
    wanted, given = Counter(expected), Counter(stored)
    if wanted == given:
        return [], []
    missing = sorted((wanted - given).elements(), key=repr)
    return missing, sorted((given - wanted).elements(), key=repr)


def in_words(value: Any, longest: int) -> str:
    """Return a value as text for people: times in UTC, long texts cut off."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    text = "null" if value is None else str(value)
    if len(text) > longest:
        return f"{text[:longest]}… ({len(text)} characters)"
    return text


def compare(
    relation: str,
    columns: Sequence[str],
    expected: Iterable[Row],
    stored: Iterable[Row],
) -> Finding:
    """Compare rows exactly, whatever their order."""
    wanted, given = list(expected), list(stored)
    missing, surplus = differing_rows(wanted, given)
    return Finding(
        relation,
        max(len(wanted), len(given)),
        max(len(missing), len(surplus)),
        [
            Example(side, dict(zip(columns, row, strict=True)))
            for side, rows in (("stored", surplus), ("expected", missing))
            for row in rows[:SHOWN_ROWS]
        ],
    )


def in_utc(row: Row) -> Row:
    """Return the row with aware times.

    Some of Materialize's types have no time zone; their times are in UTC.
    """
    return tuple(
        value.replace(tzinfo=UTC)
        if isinstance(value, datetime) and value.tzinfo is None
        else value
        for value in row
    )


def _in_words(row: dict[str, Any]) -> str:
    return " ".join(
        f"{name}={in_words(value, _SHOWN_CHARACTERS)}" for name, value in row.items()
    )
