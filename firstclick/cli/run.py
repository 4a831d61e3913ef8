"""Commands that run a pipeline: demo, up and down."""

from typing import Annotated

import typer

from firstclick.cli.app import RUN, app, interruptible, say
from firstclick.core.errors import FirstClickError
from firstclick.core.home import Step
from firstclick.core.pipeline import find
from firstclick.core.settings import Settings


@app.command(rich_help_panel=RUN)
def demo(
    duration: Annotated[
        float | None,
        typer.Option(help="How many seconds to run.", show_default="until Ctrl-C"),
    ] = None,
    rate: Annotated[float, typer.Option(help="How many events a second.")] = 500,
    backfill: Annotated[
        float, typer.Option(help="How many hours of past events to send first.")
    ] = 0,
) -> None:
    """Start everything and show sample data live.

    If a pipeline runs in FIRSTCLICK_HOME, the demo feeds that one; if not, it starts
    one and stops it at the end.

    Example: `firstclick demo --backfill 2`
    """
    from firstclick import demo

    demo.run(Settings.load(), duration=duration, rate=rate, backfill_hours=backfill)


@app.command(rich_help_panel=RUN)
def up(
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Return when it is ready, and leave it running."),
    ] = False,
    servers_only: Annotated[
        bool,
        typer.Option("--servers-only", help="Start Kafka and PostgreSQL only."),
    ] = False,
) -> None:
    """Start a pipeline.

    That is Kafka, PostgreSQL, the workers and the live page. Deploys the models that
    changed since the last time. Uses your servers if you set DATABASE_URL or
    KAFKA_BOOTSTRAP_SERVERS.

    Example: `firstclick up --detach`
    """
    from firstclick.operate import stack

    settings = Settings.load()
    state = find(settings.home)
    if state is not None and state.phase == "ready":
        already = stack.start(settings, detach=True, servers_only=servers_only)
        say(f"Already up in {already.pipeline.home}")
        if already.pipeline.live_url is not None:
            say(f"Live page on {already.pipeline.live_url}")
        return
    with interruptible():
        started = stack.start(
            settings, detach=detach, servers_only=servers_only, on_step=_say_step
        )
        say(f"Ready in {started.pipeline.home}")
        if not settings.live_is_private:
            say(f"Live page on {started.pipeline.live_url}")
        if detach or started.supervisor is None:
            return
        say("Ctrl-C stops it.")
        try:
            code = started.supervisor.wait()
        except KeyboardInterrupt:
            say("Stopping …")
            stack.down(settings.home)
            say("Stopped.")
            return
    if code != 0:
        raise FirstClickError(
            f"the supervisor ended with status {code}: see "
            f"{settings.home / 'logs' / 'supervisor.log'}"
        )


@app.command(rich_help_panel=RUN)
def down() -> None:
    """Stop the pipeline.

    Its data stays in FIRSTCLICK_HOME, for the next `firstclick up`.

    Example: `FIRSTCLICK_HOME=/srv/shop firstclick down`
    """
    from firstclick.operate import stack

    settings = Settings.load()
    if stack.down(settings.home):
        say("Stopped.")
    else:
        say(f"Nothing runs in {settings.home}")


def _say_step(step: Step) -> None:
    say(f"{step.text}  {step.seconds:.1f} s")
