"""The command line of the benchmark."""

import sys
from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.copy_baseline import copy
from benchmarks.expiring import expiring
from benchmarks.findings import Section
from benchmarks.full_hour import flat_and_questions
from benchmarks.latency import latency
from benchmarks.report import save, show
from benchmarks.throughput import throughput
from firstclick.core.errors import FirstClickError
from firstclick.core.signals import exit_at_sigterm

DOCS = Path(__file__).resolve().parent.parent / "docs"


class Name(StrEnum):
    """The sections that you can name on the command line."""

    THROUGHPUT = auto()
    LATENCY = auto()
    COPY = auto()
    EXPIRING = auto()
    FLAT = auto()
    PSQL = auto()
    PANELS = auto()
    PAGE = auto()


def bench(
    sections: Annotated[
        list[Name] | None, typer.Argument(help="What to measure; all unless named.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A short try; nothing is saved in docs/.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Where to save.", show_default="docs/, none with --quick"),
    ] = None,
) -> None:
    """Measure throughput, latency and cost, each on a stack of its own."""
    exit_at_sigterm()
    console = Console(highlight=False)
    wanted = set(sections or Name)
    done: list[Section] = []

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    try:
        for name, measure in (
            (Name.THROUGHPUT, throughput),
            (Name.LATENCY, latency),
            (Name.COPY, copy),
            (Name.EXPIRING, expiring),
        ):
            if name in wanted:
                done.append(measure(quick, say))
        if wanted & {Name.FLAT, Name.PSQL, Name.PANELS, Name.PAGE}:
            done += flat_and_questions(
                quick,
                say,
                flat=Name.FLAT in wanted,
                psql=Name.PSQL in wanted,
                panels=Name.PANELS in wanted,
                page=Name.PAGE in wanted,
            )
    finally:
        if done:
            show(done, console)
    target = output or (None if quick else DOCS)
    if target is not None:
        for path in save(done, target / "benchmark.json"):
            say(f"Saved {path}")


def main() -> int:
    """Run the command; print an error as one line on stderr and exit with 1."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(bench)
    try:
        return app(standalone_mode=False) or 0
    except typer.TyperException as error:
        print(f"bench: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except FirstClickError as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
