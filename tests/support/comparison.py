"""Rows that should be there against rows that are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstclick.verify.findings import Row, differing_rows, in_words

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
            f"{column}={_in_words(value)}"
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
        missing, unexpected = differing_rows(rows, found[relation])
        if missing or unexpected:
            differences.append(
                Difference(relation, tuple(columns[relation]), missing, unexpected)
            )
    return differences


def report(differences: Iterable[Difference]) -> str:
    """Return all differences as text; empty where there are none."""
    return "\n".join(map(str, differences))


def _in_words(value: Any) -> str:
    shown = repr(value) if isinstance(value, str) else value
    return in_words(shown, SHOWN_CHARACTERS)
