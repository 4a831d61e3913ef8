"""A run's results, as a table and as JSON."""

import os
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from faults.rounds import Tally
from firstclick.core.errors import HomeError


def show(tally: Tally, console: Console) -> None:
    """Print a row for each kind of fault, and the totals."""
    table = Table("fault", "times", "seconds to catch up", "lost", "doubled")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in tally.rows.values():
        if row.skipped:
            table.add_row(row.fault, "0", f"skipped: {row.skipped}", "", "")
            continue
        table.add_row(
            row.fault,
            str(len(row.seconds)),
            _span(row.seconds),
            str(row.lost),
            str(row.doubled),
        )
    console.print(table)
    console.print(
        f"{tally.kills} kills, {tally.sent:,} messages at {tally.rate:,.0f} events/s, "
        f"seed {tally.seed}: {tally.lost} lost, {tally.doubled} doubled"
    )


def save(tally: Tally, path: Path) -> None:
    """Write the run as JSON, a line for each kind of fault. Raises HomeError."""
    run = {
        "seed": tally.seed,
        "events_per_second": tally.rate,
        "messages": tally.sent,
        "kills": tally.kills,
        "lost": tally.lost,
        "doubled": tally.doubled,
    }
    faults = ",\n".join(
        "    "
        + _line(
            {
                "fault": row.fault,
                "times": len(row.seconds),
                "seconds_to_catch_up": row.seconds,
                "lost": row.lost,
                "doubled": row.doubled,
                **({"skipped": row.skipped} if row.skipped else {}),
            }
        )
        for row in tally.rows.values()
    )
    at_work = {**tally.machine, "load_average_after": os.getloadavg()}
    text = (
        f'{{\n  "run": {_line(run)},\n  "faults": [\n{faults}\n  ],\n'
        f'  "machine": {_line(at_work)}\n}}\n'
    )
    try:
        path.write_text(text)
    except OSError as error:
        raise HomeError(
            f"the results can't be written to {path}: {error.strerror}; give another "
            "file with --output"
        ) from error


def _span(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "".join(f"{each:.1f}" for each in seconds)
    return f"median {median(seconds):.1f}, most {max(seconds):.1f}"


def _line(content: dict[str, Any]) -> str:
    return msgspec.json.encode(content).decode()
