"""Commands that look at a pipeline and change nothing: status, logs, psql, verify."""

import os
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from firstclick.cli.app import LOOK, app, stop_event
from firstclick.core.database import postgres_environment
from firstclick.core.pipeline import located, running
from firstclick.core.settings import Settings

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, for scripts and health checks.")
]


@app.command(rich_help_panel=LOOK)
def status(as_json: AsJson = False) -> int:
    """Show health, offsets, lag and freshness.

    Exits with 0 if the pipeline is healthy, and with 1 if not.

    Example: `firstclick status --json | jq .problems`
    """
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


@app.command(rich_help_panel=LOOK)
def logs(
    worker: Annotated[
        str | None,
        typer.Argument(
            help="Whose log, for example connector, kafka or postgres.",
            show_default="all",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show new lines as they come.")
    ] = False,
    lines: Annotated[
        int, typer.Option(min=0, help="How many of the last lines to show.")
    ] = 50,
) -> None:
    """Show what the processes log.

    Lines of several logs are in the order of their times, which are in UTC.

    Example: `firstclick logs connector --follow`
    """
    from firstclick.operate.log_viewer import LogViewer, choose

    directory = Settings.load().home / "logs"
    viewer = LogViewer(directory, choose(directory, worker))
    with stop_event() as stop:
        for entry in viewer.latest(lines):
            print(entry, flush=True)
        if follow:
            for entry in viewer.follow(stop.wait):
                print(entry, flush=True)


@app.command(
    rich_help_panel=LOOK,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def psql(context: typer.Context) -> None:
    """Open psql on the pipeline's database.

    Passes all arguments to psql.

    Example: `firstclick psql -c 'select * from last_hour_sources'`
    """
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


@app.command(rich_help_panel=LOOK)
def verify(
    sample: Annotated[
        int,
        typer.Option(min=0, help="How many messages of each topic to recompute."),
    ] = 300,
    seed: Annotated[
        int | None,
        typer.Option(
            help="The seed of an earlier run, for the same sample.",
            show_default="random",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Compare all relations with the messages.

    Applies the specification, written in Python, to a sample of the messages. On the
    embedded engine, also recomputes every relation with SQL. Exits with 0 if
    everything is equal, and with 1 if not.

    Example: `firstclick verify --sample 2000`
    """
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
