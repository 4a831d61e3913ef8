"""What was compared, and what differed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

SHOWN_ROWS = 5
_SHOWN_CHARACTERS = 60

Row = tuple[Any, ...]


class Example(msgspec.Struct, frozen=True):
    """A row that only one side has, by column."""

    side: str
    """`stored` or `expected`."""
    row: dict[str, Any]


class Finding(msgspec.Struct, frozen=True):
    """How a relation compares."""

    relation: str
    compared: int
    """Rows that it holds, or that were looked up in it."""
    differing: int
    """Rows that are not as expected, missing ones included; a changed one is one."""
    examples: list[Example] = []

    def __str__(self) -> str:
        text = f"{self.relation}: {self.differing:,} of {self.compared:,} rows differ"
        sides = {example.side: example.row for example in reversed(self.examples)}
        for side in ("stored", "expected"):
            shown = _in_words(sides[side]) if side in sides else "no such row"
            text += f"; {side}: {shown}"
        return text


class Verification(msgspec.Struct, frozen=True):
    """What ``firstclick verify`` shows; ``--json`` prints exactly this."""

    equal: bool
    target: str
    at: datetime
    """The moment that was looked at."""
    seed: int
    seconds: float
    recomputed: list[Finding] | None
    """Relations against plain SQL over the raw tables; None where an engine keeps no
    SQL to recompute by."""
    sampled: list[Finding]
    """Relations against the oracle, for a sample of messages."""
    triggers: list[str] = []
    """Those that are not as they were deployed, so that changes may pass them by."""

    @property
    def first_difference(self) -> Finding | None:
        findings = chain(self.recomputed or [], self.sampled)
        return next((finding for finding in findings if finding.differing), None)


def differing_rows(
    expected: Iterable[Row], stored: Iterable[Row]
) -> tuple[list[Row], list[Row]]:
    """Return the rows that are missing and those that are not expected, sorted.

    Rows are equal exactly; one that is there twice must be expected twice.
    """
    wanted, given = Counter(expected), Counter(stored)
    if wanted == given:
        return [], []
    missing = sorted((wanted - given).elements(), key=repr)
    return missing, sorted((given - wanted).elements(), key=repr)


def in_words(value: Any, longest: int) -> str:
    """Return a value for people: a time in UTC, a long text cut off."""
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
    """Compare rows exactly, in no order."""
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
    """The row with aware times: some of Materialize's are in UTC and don't say so."""
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
