"""The application that the commands add themselves to, and what they share."""

import contextlib
import threading
from collections.abc import Iterator
from importlib import metadata
from typing import Annotated

import typer
from rich.console import Console

from firstclick.core.signals import on_signals

RUN, LOOK, OPERATE, DEVELOP = "Run", "Look", "Operate", "Develop"
"""The groups of commands in the help."""

app = typer.Typer(
    name="firstclick",
    help=(
        "Find out which advertisement sold it, while the shop is selling.\n\n"
        "To start with sample data, run `firstclick demo`. Settings are environment "
        "variables, for example FIRSTCLICK_HOME."
    ),
    epilog="`firstclick COMMAND --help` has each command's options and an example.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        say(f"firstclick {metadata.version('firstclick')}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None: ...


def say(text: str) -> None:
    """Print a line to the user, as it is."""
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


@contextlib.contextmanager
def stop_event() -> Iterator[threading.Event]:
    """Set the event at SIGINT or SIGTERM while the block runs."""
    stop = threading.Event()
    with on_signals(stop.set):
        yield stop


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first SIGINT or SIGTERM while the block runs."""
    came = threading.Event()

    def handle() -> None:
        if not came.is_set():
            came.set()
            raise KeyboardInterrupt

    with on_signals(handle):
        yield
