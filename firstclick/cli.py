"""The command line."""

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Annotated, NoReturn

import click
import typer
from rich.console import Console

from firstclick.deploy import postgres_environment
from firstclick.errors import FirstClickError
from firstclick.home import Step
from firstclick.settings import Settings

app = typer.Typer(
    name="firstclick",
    help="First-click attribution, live, on real Kafka and PostgreSQL.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> NoReturn:
    """Run the command line. An error is one line on stderr and status 1."""
    try:
        status = app(standalone_mode=False)
    except click.UsageError as error:
        _complain(f"{error.format_message()} See `firstclick --help`.")
        status = 2
    except FirstClickError as error:
        _complain(str(error))
        status = 1
    except (KeyboardInterrupt, click.Abort):
        status = 130
    except BrokenPipeError:
        # Nobody reads any more; keep Python from complaining when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _complain(message: str) -> None:
    print(f"firstclick: {' '.join(message.split())}", file=sys.stderr)


def _say(text: str) -> None:
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def _say_step(step: Step) -> None:
    _say(f"{step.text}  {step.seconds:.1f} s")


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM, both as an event and as KeyboardInterrupt."""
    stop = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        if not stop.is_set():
            stop.set()
            raise KeyboardInterrupt

    previous = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@app.command()
def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when ready, and leave it running.")
    ] = False,
    servers_only: Annotated[
        bool,
        typer.Option("--servers-only", help="No models, connector and publisher."),
    ] = False,
) -> None:
    """Start Kafka, PostgreSQL and the connector; deploy the models."""
    from firstclick import stack

    settings = Settings.load()
    state = stack.find(settings.home)
    if state is not None and state.phase == "ready":
        already = stack.start(settings, detach=True, servers_only=servers_only)
        _say(f"Already up in {already.stack.home}")
        return
    with _interruptible():
        started = stack.start(
            settings, detach=detach, servers_only=servers_only, on_step=_say_step
        )
        _say(f"Ready in {started.stack.home}")
        if detach or started.supervisor is None:
            return
        _say("Ctrl-C stops it.")
        try:
            code = started.supervisor.wait()
        except KeyboardInterrupt:
            _say("Stopping …")
            stack.down(settings.home)
            _say("Stopped.")
            return
    if code != 0:
        raise FirstClickError(
            f"the supervisor ended with status {code}: see "
            f"{settings.home / 'logs' / 'supervisor.log'}"
        )


@app.command()
def down() -> None:
    """Stop what runs."""
    from firstclick import stack

    settings = Settings.load()
    if stack.down(settings.home):
        _say("Stopped.")
    else:
        _say(f"Nothing runs in {settings.home}")


@app.command()
def env() -> None:
    """Print the addresses as NAME=value lines, for a shell to eval."""
    from firstclick import stack

    found = stack.running(Settings.load())
    variables = {
        "DATABASE_URL": found.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": found.bootstrap_servers,
        **postgres_environment(found.database_url),
        "FIRSTCLICK_SCHEMA": found.schema_name,
        "FIRSTCLICK_TOPIC_PREFIX": found.topic_prefix,
    }
    for name, value in variables.items():
        print(f"{name}={shlex.quote(value)}")
