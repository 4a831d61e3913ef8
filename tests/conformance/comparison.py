"""Rows that should be there against rows that are."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Row = tuple[Any, ...]

SHOWN_ROWS = 10
SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Difference:
    """How a relation differs from what is expected of it."""

    relation: str
    columns: tuple[str, ...]
    missing: list[Row]
    unexpected: list[Row]

    def __str__(self) -> str:
        lines = [
            f"{self.relation}: {len(self.missing)} rows missing, "
            f"{len(self.unexpected)} unexpected"
        ]
        for mark, rows in (("-", self.missing), ("+", self.unexpected)):
            lines += [f"  {mark} {self._shown(row)}" for row in rows[:SHOWN_ROWS]]
            if len(rows) > SHOWN_ROWS:
                lines.append(f"  {mark} … {len(rows) - SHOWN_ROWS} more")
        return "\n".join(lines)

    def _shown(self, row: Row) -> str:
        return " ".join(
            f"{column}={_text(value)}"
            for column, value in zip(self.columns, row, strict=True)
        )


def compare(
    expected: Mapping[str, Iterable[Row]],
    found: Mapping[str, Iterable[Row]],
    columns: Mapping[str, Sequence[str]],
) -> list[Difference]:
    """Return the relations in which the rows differ, exactly, in no order.

    A row that is there twice must be expected twice.
    """
    differences = []
    for relation, rows in expected.items():
        wanted, given = Counter(rows), Counter(found[relation])
        if wanted != given:
            differences.append(
                Difference(
                    relation,
                    tuple(columns[relation]),
                    sorted((wanted - given).elements(), key=repr),
                    sorted((given - wanted).elements(), key=repr),
                )
            )
    return differences


def report(differences: Iterable[Difference]) -> str:
    """Return all differences as text; empty where there are none."""
    return "\n".join(map(str, differences))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    text = repr(value) if isinstance(value, str) else str(value)
    if len(text) > SHOWN_CHARACTERS:
        return f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"
    return text
