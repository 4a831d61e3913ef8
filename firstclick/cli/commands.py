"""What the command line offers."""

import contextlib
import os
import re
import shlex
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console

from firstclick.core.database import postgres_environment, session_environment
from firstclick.core.errors import FirstClickError, SettingsError
from firstclick.core.home import Step
from firstclick.core.pipeline import find, located, running
from firstclick.core.settings import Settings
from firstclick.core.signals import on_signals

if TYPE_CHECKING:
    pass

app = typer.Typer(
    name="firstclick",
    help="First-click attribution, live, on real Kafka and PostgreSQL.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _say(text: str) -> None:
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def _say_step(step: Step) -> None:
    _say(f"{step.text}  {step.seconds:.1f} s")


@contextlib.contextmanager
def _signals(interrupt: bool) -> Iterator[threading.Event]:
    """SIGINT and SIGTERM as an event and, with ``interrupt``, KeyboardInterrupt."""
    stop = threading.Event()

    def handle() -> None:
        if not stop.is_set():
            stop.set()
            if interrupt:
                raise KeyboardInterrupt

    with on_signals(handle):
        yield stop


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
    from firstclick.operate import stack

    settings = Settings.load()
    state = find(settings.home)
    if state is not None and state.phase == "ready":
        already = stack.start(settings, detach=True, servers_only=servers_only)
        _say(f"Already up in {already.pipeline.home}")
        if already.pipeline.live_url is not None:
            _say(f"Live page on {already.pipeline.live_url}")
        return
    with _signals(interrupt=True):
        started = stack.start(
            settings, detach=detach, servers_only=servers_only, on_step=_say_step
        )
        _say(f"Ready in {started.pipeline.home}")
        if not settings.live_is_private:
            _say(f"Live page on {started.pipeline.live_url}")
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
    from firstclick.operate import stack

    settings = Settings.load()
    if stack.down(settings.home):
        _say("Stopped.")
    else:
        _say(f"Nothing runs in {settings.home}")


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> int:
    """Show what runs, offsets, lag and freshness; exit 0 if healthy, else 1."""
    from firstclick.operate import status as health
    from firstclick.operate.status_view import show

    settings = Settings.load()
    if settings.target == "embedded":
        found = health.status(settings)
    else:
        found = health.engine_status(settings, located(settings))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        show(found, Console(highlight=False))
    return 0 if found.healthy else 1


@app.command()
def logs(
    worker: Annotated[
        str | None,
        typer.Argument(help="Whose; Kafka's and PostgreSQL's too.", show_default="all"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as they are written.")
    ] = False,
    lines: Annotated[int, typer.Option(min=0, help="How many of the last ones.")] = 50,
) -> None:
    """Show what the processes have logged, in the order of time (UTC)."""
    from firstclick.operate.log_viewer import LogViewer, choose

    directory = Settings.load().home / "logs"
    book = LogViewer(directory, choose(directory, worker))
    with _signals(interrupt=False) as stop:
        for entry in book.latest(lines):
            print(entry, flush=True)
        if follow:
            for entry in book.follow(stop.wait):
                print(entry, flush=True)


@app.command()
def verify(
    sample: Annotated[
        int, typer.Option(min=0, help="Messages of each topic to try by the rules.")
    ] = 300,
    seed: Annotated[
        int | None, typer.Option(help="The same sample again.", show_default="random")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> int:
    """Compare all relations with what Kafka's messages say; exit 0 if equal."""
    from firstclick import verify as verification

    console = Console(highlight=False)
    with Console(stderr=True).status("Comparing …") as status:
        found = verification.verify(
            Settings.load(),
            sample=sample,
            seed=seed,
            on_finding=lambda finding: status.update(f"Compared {finding.relation} …"),
        )
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        verification.show(found, console)
    return 0 if found.equal and not found.triggers else 1


class Role(StrEnum):
    """Who asks the database."""

    owner = "owner"
    grafana = "grafana"


@app.command()
def env(
    export: Annotated[
        bool, typer.Option("--export", help="Print export NAME=value instead.")
    ] = False,
    role: Annotated[
        Role, typer.Option(help="Whose address of the database.")
    ] = Role.owner,
) -> None:
    """Print the addresses as NAME=value lines that a shell can eval."""

    found = running(Settings.load())
    url = found.database_url if role is Role.owner else found.reader_url
    variables = {
        "DATABASE_URL": url,
        **found.kafka.environment(),
        **session_environment(url, within_limits=role is Role.grafana),
        "FIRSTCLICK_SCHEMA": found.schema_name,
        "FIRSTCLICK_TOPIC_PREFIX": found.topic_prefix,
    }
    for name, value in variables.items():
        print(f"{'export ' if export else ''}{name}={shlex.quote(value)}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def psql(context: typer.Context) -> None:
    """Open a session on the database; arguments are psql's."""
    from firstclick.servers.postgres import client_program
    from firstclick.servers.roles import OWNER

    settings = Settings.load()
    url, schema = settings.database_url, settings.schema_name
    if url is None:
        found = running(settings)
        url, schema = found.database_url, found.schema_name
    variables = postgres_environment(url)
    begin = {"search_path": f"{schema},public", **OWNER.settings}
    environment = {
        **os.environ,
        **variables,
        "PGOPTIONS": " ".join(
            [
                *([variables["PGOPTIONS"]] if "PGOPTIONS" in variables else []),
                *(f"-c {name}={value}" for name, value in begin.items()),
            ]
        ),
    }
    program = client_program("psql", settings.postgres_programs, url)
    os.execve(program, [program, *context.args], environment)


@app.command()
def generate(
    rate: Annotated[
        float, typer.Option(help="Events a second.", show_default=True)
    ] = 500,
    duration: Annotated[
        float | None,
        typer.Option(help="Seconds.", show_default="until Ctrl-C"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same events again.", show_default="random")
    ] = None,
    mess: Annotated[
        float, typer.Option(help="Share that is late, twice or malformed.")
    ] = 0.01,
    backfill: Annotated[float, typer.Option(help="Hours of past events first.")] = 0,
) -> None:
    """Send a shop's clicks and purchases to Kafka."""
    from firstclick_generator import generate as feed

    settings = Settings.load()
    kafka, prefix, project = settings.kafka, settings.topic_prefix, settings.project
    if kafka is None:
        found = running(settings)
        kafka, prefix, project = found.kafka, found.topic_prefix, found.project
    with _signals(interrupt=False) as stop:
        progress = feed(
            kafka.servers,
            topic_prefix=prefix,
            producer_config=kafka.client(),
            rate=rate,
            duration=duration,
            seed=seed,
            anomaly_rate=mess,
            backfill_hours=backfill,
            stop=stop,
            seeds=project / "seeds",
        )
    _say(
        f"{progress.clicks:,} clicks, {progress.purchases:,} purchases, "
        f"{progress.late:,} of them late; {progress.malformed:,} malformed, "
        f"{progress.duplicated:,} sent twice; {progress.seconds:.1f} s"
    )


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
) -> None:
    """Write the pipeline into a file, while events flow."""
    from firstclick.operate.backup import backup

    with _signals(interrupt=True):
        backup(Settings.load(), file)
    _say(f"Written: {file}, {file.stat().st_size / 1e6:,.1f} MB")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that backup has written.")],
) -> None:
    """Fill a home that has no events yet from a backup."""
    from firstclick.operate.backup import restore

    with _signals(interrupt=True):
        said = restore(Settings.load(), file)
    _say(f"{said}: start it with `firstclick up`")


@app.command()
def publish(
    again: Annotated[
        bool, typer.Option("--again", help="All of them, whatever was published.")
    ] = False,
) -> None:
    """Publish all checkouts to Kafka again; the stack publishes changes by itself."""
    from firstclick.core.database import connect
    from firstclick.workers.published import publish_again

    settings = Settings.load()
    if not again:
        raise SettingsError(
            "nothing is asked for, expected `firstclick publish --again`: changes are "
            "published while the stack runs"
        )
    if settings.target != "embedded":
        raise SettingsError(
            f"FIRSTCLICK_TARGET is {settings.target!r}, expected 'embedded': other "
            "engines publish by a sink, which `firstclick deploy` makes again"
        )
    found = running(settings)
    with connect(found.database_url) as connection:
        publish_again(connection, found.schema_name)
    _say("The publisher sends all checkouts again; `firstclick status` counts them")


@app.command()
def expire(
    every: Annotated[
        str | None,
        typer.Option(help="Again and again: 30s, 1m, 2h.", show_default="once"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be deleted.")
    ] = False,
) -> None:
    """Delete the events that are no longer kept, and all that came of them."""
    from firstclick.core.logging import configure
    from firstclick.core.waiting import Stopped, stoppable
    from firstclick.workers.expire import expire as keep_expiring
    from firstclick.workers.expire import expire_once

    seconds = None if every is None else _seconds(every)
    pipeline = located(Settings.load())
    if dry_run:
        _say(f"To be deleted: {expire_once(pipeline, dry_run=True)}")
    elif seconds is None:
        _say(f"Deleted {expire_once(pipeline)}")
    else:
        log = configure("expire")
        with contextlib.suppress(Stopped), stoppable() as stop:
            keep_expiring(pipeline, stop, log, seconds)


@app.command()
def deploy() -> None:
    """Deploy the models on a streaming engine beside those that are read."""
    from firstclick.deploy import deploy as deploy_models

    deploy_models(Settings.load(), _say)


@app.command()
def repair() -> None:
    """Heal sources that messages without a key have stopped, on Materialize."""
    from firstclick.operate.repair import repair as heal
    from firstclick.operate.repair import require_materialize

    settings = Settings.load()
    require_materialize(settings)
    if not heal(located(settings), _say):
        _say("No source is stopped.")


def _seconds(duration: str) -> float:
    unit = {"s": 1, "m": 60, "h": 3600}
    found = re.fullmatch(r"([0-9]+)([smh])", duration)
    if found is None or int(found[1]) == 0:
        raise SettingsError(
            f"--every is {duration!r}, expected a number and s, m or h, such as 1m"
        )
    return float(found[1]) * unit[found[2]]


@app.command()
def demo(
    duration: Annotated[
        float | None, typer.Option(help="Seconds.", show_default="until Ctrl-C")
    ] = None,
    rate: Annotated[float, typer.Option(help="Events a second.")] = 500,
    backfill: Annotated[float, typer.Option(help="Hours of past events first.")] = 0,
) -> None:
    """Start everything, feed it, and watch the answers live."""
    from firstclick import demo

    demo.run(Settings.load(), duration=duration, rate=rate, backfill_hours=backfill)


@app.command()
def init(
    directory: Annotated[
        Path,
        typer.Argument(help="Where to write it: an empty directory, or a new one."),
    ],
) -> None:
    """Write a dbt project that you can edit."""
    from firstclick.deploy.project_files import write_project

    write_project(directory)
    path = directory.resolve()
    _say(f"Written: {path}")
    _say("Edit it, then run it:")
    _say(f"  export FIRSTCLICK_PROJECT={shlex.quote(str(path))}")
    _say("  firstclick up")
