"""Commands that keep a pipeline in order, such as deploy, backup and restore."""

import contextlib
import re
from pathlib import Path
from typing import Annotated

import typer

from firstclick.cli.app import OPERATE, app, interruptible, say
from firstclick.core.errors import SettingsError
from firstclick.core.pipeline import located, running
from firstclick.core.settings import Settings


@app.command(rich_help_panel=OPERATE)
def deploy() -> None:
    """Deploy to Materialize or RisingWave.

    Builds the new version of the models beside the one that your dashboards read,
    checks it, and swaps the two. The embedded engine's models are deployed by
    `firstclick up`.

    Example: `FIRSTCLICK_TARGET=materialize firstclick deploy`
    """
    from firstclick.deploy import deploy as deploy_models

    deploy_models(Settings.load(), say)


@app.command(rich_help_panel=OPERATE)
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
) -> None:
    """Write the pipeline to a file.

    Events may flow meanwhile.

    Example: `firstclick backup shop-2026-11-28.backup`
    """
    from firstclick.operate.backup import backup

    with interruptible():
        backup(Settings.load(), file)
    say(f"Written: {file}, {file.stat().st_size / 1e6:,.1f} MB")


@app.command(rich_help_panel=OPERATE)
def restore(
    file: Annotated[
        Path, typer.Argument(help="A file that `firstclick backup` wrote.")
    ],
) -> None:
    """Restore a pipeline from a backup.

    FIRSTCLICK_HOME must be a home without events, for example a new directory.

    Example: `FIRSTCLICK_HOME=/srv/copy firstclick restore shop-2026-11-28.backup`
    """
    from firstclick.operate.backup import restore

    with interruptible():
        said = restore(Settings.load(), file)
    say(f"{said}: start it with `firstclick up`")


@app.command(rich_help_panel=OPERATE)
def publish(
    again: Annotated[
        bool,
        typer.Option("--again", help="Send all checkouts, also those sent before."),
    ] = False,
) -> None:
    """Send all checkouts to Kafka again.

    The pipeline sends changes by itself. Use this if somebody deleted the topic
    checkouts, or a reader lost its copy.

    Example: `firstclick publish --again`
    """
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
    say("The publisher sends all checkouts again; `firstclick status` counts them")


@app.command(rich_help_panel=OPERATE)
def expire(
    every: Annotated[
        str | None,
        typer.Option(
            help="Repeat after this pause, such as 30s, 1m or 2h.", show_default="once"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be deleted.")
    ] = False,
) -> None:
    """Delete events older than the retention.

    The retention is a variable of the dbt project, 48 hours by default. `firstclick
    up` does this by itself; on Materialize and RisingWave, run it with `--every`.

    Example: `firstclick expire --every 1m`
    """
    from firstclick.core.logging import configure
    from firstclick.core.waiting import Stopped, stoppable
    from firstclick.workers.expire import expire as keep_expiring
    from firstclick.workers.expire import expire_once

    seconds = None if every is None else _seconds(every)
    pipeline = located(Settings.load())
    if dry_run:
        say(f"To be deleted: {expire_once(pipeline, dry_run=True)}")
    elif seconds is None:
        say(f"Deleted {expire_once(pipeline)}")
    else:
        log = configure("expire")
        with contextlib.suppress(Stopped), stoppable() as stop:
            keep_expiring(pipeline, stop, log, seconds)


@app.command(rich_help_panel=OPERATE)
def repair() -> None:
    """Restart sources that Materialize stopped.

    Materialize stops a source at a message without a key. No data is lost: Kafka
    keeps the messages that come meanwhile.

    Example: `FIRSTCLICK_TARGET=materialize firstclick repair`
    """
    from firstclick.operate.repair import repair as heal
    from firstclick.operate.repair import require_materialize

    settings = Settings.load()
    require_materialize(settings)
    if not heal(located(settings), say):
        say("No source is stopped.")


def _seconds(duration: str) -> float:
    unit = {"s": 1, "m": 60, "h": 3600}
    found = re.fullmatch(r"([0-9]+)([smh])", duration)
    if found is None or int(found[1]) == 0:
        raise SettingsError(
            f"--every is {duration!r}, expected a number and s, m or h, such as 1m"
        )
    return float(found[1]) * unit[found[2]]
