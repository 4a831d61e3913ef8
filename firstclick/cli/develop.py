"""Commands for work on the models and for connecting other tools."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from firstclick.cli.app import DEVELOP, app, say, stop_event
from firstclick.core.database import session_environment
from firstclick.core.pipeline import running
from firstclick.core.settings import Settings


class Role(StrEnum):
    """A database role."""

    owner = "owner"
    grafana = "grafana"


@app.command(rich_help_panel=DEVELOP)
def init(
    directory: Annotated[
        Path,
        typer.Argument(help="The directory to write: a new one, or an empty one."),
    ],
) -> None:
    """Write a dbt project that you can edit.

    It has the models, macros, seeds, tests and dashboards that First Click brings.

    Example: `firstclick init shop`
    """
    from firstclick.deploy.project_files import write_project

    write_project(directory)
    path = directory.resolve()
    say(f"Written: {path}")
    say("Edit it, then run it:")
    say(f"  export FIRSTCLICK_PROJECT={shlex.quote(str(path))}")
    say("  firstclick up")


@app.command(rich_help_panel=DEVELOP)
def env(
    export: Annotated[
        bool, typer.Option("--export", help="Put `export` before each variable.")
    ] = False,
    role: Annotated[
        Role,
        typer.Option(help="The database role: owner may write, grafana only reads."),
    ] = Role.owner,
) -> None:
    """Print addresses for dbt and other tools.

    Prints NAME=value lines that your shell can evaluate, passwords included.

    Example: `eval "$(firstclick env --export)" && dbt build`
    """
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


@app.command(rich_help_panel=DEVELOP)
def generate(
    rate: Annotated[float, typer.Option(help="How many events a second.")] = 500,
    duration: Annotated[
        float | None,
        typer.Option(help="How many seconds to run.", show_default="until Ctrl-C"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="The seed of an earlier run, for the same events.",
            show_default="random",
        ),
    ] = None,
    anomaly_rate: Annotated[
        float,
        typer.Option(
            help="The share of events that come late, twice or malformed, from 0 to 1."
        ),
    ] = 0.01,
    mess: Annotated[float | None, typer.Option("--mess", hidden=True)] = None,
    backfill: Annotated[
        float, typer.Option(help="How many hours of past events to send first.")
    ] = 0,
) -> None:
    """Send sample events to Kafka.

    They are the clicks and purchases of a made-up shop whose customers and products
    are the seeds of the dbt project.

    Example: `firstclick generate --rate 100 --duration 60`
    """
    from firstclick_generator import generate as feed

    if mess is not None:
        print(
            "firstclick: --mess is now --anomaly-rate, and the next version will not "
            "know it: use --anomaly-rate",
            file=sys.stderr,
        )
        anomaly_rate = mess
    settings = Settings.load()
    kafka, prefix, project = settings.kafka, settings.topic_prefix, settings.project
    if kafka is None:
        found = running(settings)
        kafka, prefix, project = found.kafka, found.topic_prefix, found.project
    with stop_event() as stop:
        progress = feed(
            kafka.servers,
            topic_prefix=prefix,
            producer_config=kafka.client(),
            rate=rate,
            duration=duration,
            seed=seed,
            anomaly_rate=anomaly_rate,
            backfill_hours=backfill,
            stop=stop,
            seeds=project / "seeds",
        )
    say(
        f"{progress.clicks:,} clicks, {progress.purchases:,} purchases, "
        f"{progress.late:,} of them late; {progress.malformed:,} malformed, "
        f"{progress.duplicated:,} sent twice; {progress.seconds:.1f} s"
    )
