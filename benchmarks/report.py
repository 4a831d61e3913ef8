"""Findings as a table, as JSON and as a picture."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.findings import Section
from firstclick.core.errors import FirstClickError, HomeError
from firstclick.core.signals import exit_at_sigterm

Say = Callable[[str], None]


def judged(name: str, measure: Callable[[Say], Section], output: Path) -> NoReturn:
    """Measure one section, print and save it, and exit.

    The exit status is 1 if a target was missed, or after an error, which is printed as
    one line.
    """
    exit_at_sigterm()
    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    try:
        section = measure(say)
        show([section], console)
        for path in save([section], output):
            say(f"Saved {path}")
    except FirstClickError as error:
        say(f"{name}: {' '.join(str(error).split())}")
        raise SystemExit(1) from None
    raise SystemExit(1 if any(found.met is False for found in section.findings) else 0)


def show(sections: Iterable[Section], console: Console) -> None:
    """Print a row for each finding, and whether it met its target."""
    table = Table("", "measured", "", "target", "")
    # On a narrow terminal only the description wraps, never the figure
    for column in table.columns[1:]:
        column.no_wrap = True
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
    """Format a value with three significant digits, below one with two.

    From 100 on, it keeps all digits before the point: 12345.6 becomes ``12,346``.
    """
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 1:
        return f"{value:.2g}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def save(sections: Iterable[Section], file: Path) -> list[Path]:
    """Write the JSON file, and a picture of it in ``images/`` beside it.

    Sections that the file already holds and that weren't measured now are kept. Without
    a section that has a picture, none is drawn. Returns the paths written. Raises
    HomeError if the file can't be written or is damaged.
    """
    picture = file.parent / "images" / f"{file.stem}.svg"
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {}
        if file.exists():
            results = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        results.update({section.name: section.as_json() for section in sections})
        file.write_bytes(_compact(results))
        drawn = _draw(results, picture)
    except OSError as error:
        raise HomeError(
            f"the results can't be written to {error.filename or file}: "
            f"{error.strerror}; give another place with --output"
        ) from error
    except msgspec.DecodeError as error:
        raise HomeError(f"{file} is damaged ({error}): delete it") from error
    return [file, picture] if drawn else [file]


def _compact(results: dict[str, Any]) -> bytes:
    """Encode a line for each part of a section, so that diffs stay readable."""
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


def _draw(results: dict[str, Any], path: Path) -> bool:
    # Importing matplotlib takes a second, and only this function needs it
    from benchmarks.picture import draw

    return draw(results, path)
