"""The reference data: the shop's users and products."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

from firstclick.core.errors import SettingsError
from firstclick.core.project import PROJECT

SEEDS = PROJECT / "seeds"
"""The reference data that First Click brings."""


@dataclass(frozen=True, slots=True)
class User:
    """A row of users.csv. Dates are text such as `2026-11-23`."""

    user_id: str
    name: str
    email: str
    gender: str
    birth_day: str
    location: str
    phone: str
    registration_date: str


@dataclass(frozen=True, slots=True)
class Product:
    """A row of products.csv. Price and commission rate are decimals as text."""

    product_id: str
    product_name: str
    category: str
    brand: str
    price: str
    commission_rate: str


Row = TypeVar("Row", User, Product)


def write_rows(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """Write rows as CSV with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(kind))
        writer.writerows(astuple(row) for row in rows)


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read what `write_rows` wrote, or a file that you put in its place.

    Raises SettingsError if the file is missing, empty or lacks a column.
    """
    names = [field.name for field in fields(kind)]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                kind(*(row[name] for name in names)) for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise SettingsError(
            f"Reference data was expected in {path}: {error.strerror}; "
            "copy it from what `firstclick init` writes"
        ) from error
    except KeyError as error:
        raise SettingsError(
            f"{path} was expected to have the columns {', '.join(names)}, "
            f"but {error.args[0]} is missing: add it"
        ) from error
    if not rows:
        raise SettingsError(f"{path} was expected to hold rows, but is empty: add some")
    return rows
