"""Findings as a table, as JSON and as a picture."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.findings import Section
from firstclick.errors import HomeError


def show(sections: Iterable[Section], console: Console) -> None:
    """Print a row a finding, and whether what was aimed at was met."""
    table = Table("", "measured", "", "target", "")
    table.columns[0].no_wrap = True
    table.columns[1].justify = "right"
    for section in sections:
        table.add_section()
        table.add_row(f"[bold]{section.name}[/]")
        for finding in section.findings:
            verdict = {None: "", True: "[green]ok[/]", False: "[red]missed[/]"}
            table.add_row(
                finding.what,
                number(finding.value),
                finding.unit,
                finding.target,
                verdict[finding.met],
            )
    console.print(table)


def number(value: float) -> str:
    """Three digits, or all before the point."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def save(sections: Iterable[Section], directory: Path) -> list[Path]:
    """Write ``benchmark.json`` and ``images/benchmark.svg``; returns their paths.

    What the file holds of sections that were not measured now is kept. Raises
    HomeError where the directory can't be written or the file is damaged.
    """
    file, picture = directory / "benchmark.json", directory / "images/benchmark.svg"
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {}
        if file.exists():
            results = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        results.update({section.name: section.as_json() for section in sections})
        file.write_bytes(_compact(results))
        _draw(results, picture)
    except OSError as error:
        raise HomeError(
            f"the results can't be written to {error.filename or directory}: "
            f"{error.strerror}; give another directory with --output"
        ) from error
    except msgspec.DecodeError as error:
        raise HomeError(f"{file} is damaged ({error}): delete it") from error
    return [path for path in (file, picture) if path.exists()]


def _compact(results: dict[str, Any]) -> bytes:
    """One line a section's part, so that changes can be read but series are short."""
    lines = [
        f'    "{part}": {msgspec.json.encode(content).decode()}'
        for section in results.values()
        for part, content in section.items()
    ]
    text, at = "{\n", 0
    for position, (name, section) in enumerate(results.items()):
        body = ",\n".join(lines[at : at + len(section)])
        at += len(section)
        end = ",\n" if position + 1 < len(results) else "\n"
        text += f'  "{name}": {{\n{body}\n  }}{end}'
    return f"{text}}}\n".encode()


def _draw(results: dict[str, Any], path: Path) -> None:
    # Imported here: it takes a second, and only this needs it
    from benchmarks.picture import draw

    draw(results, path)
