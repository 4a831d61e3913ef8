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


def compare(
    relation: str,
    columns: Sequence[str],
    expected: Iterable[Row],
    stored: Iterable[Row],
) -> Finding:
    """Compare rows exactly, in no order."""
    wanted, given = Counter(expected), Counter(stored)
    missing = sorted((wanted - given).elements(), key=repr)
    surplus = sorted((given - wanted).elements(), key=repr)
    return Finding(
        relation,
        max(wanted.total(), given.total()),
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
    return " ".join(f"{name}={_text(value)}" for name, value in row.items())


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    text = "null" if value is None else str(value)
    cut = len(text) > _SHOWN_CHARACTERS
    return text[:_SHOWN_CHARACTERS] + "…" if cut else text
