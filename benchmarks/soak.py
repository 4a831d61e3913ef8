"""Days of events in minutes: a pipeline must not grow with its age.

``python -m benchmarks.soak`` gives the database, its models and the expire worker a
clock that runs fast, and sends events at full rate with that clock's times. After the
first 48 hours, an event expires for each one that arrives. From then on, rows, disk,
memory and the cost of an event must stay level, and the insights must not change. The
results are saved in docs/soak.json.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.clock import HOUR, MINUTE, Clock
from benchmarks.compressed import shop
from benchmarks.findings import Section
from benchmarks.growth import KEPT, Sample, judge, sample
from benchmarks.insights import Insights
from benchmarks.report import Say, judged
from benchmarks.stage import Stage, staged
from firstclick.core.errors import ServerError
from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.core.processes import Command, Running
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings
from firstclick.servers.roles import role_of, role_url
from firstclick.servers.topics import TOPICS
from firstclick.verify import verify

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "soak.json"

HOURS, MINUTES, RATE = 96, 20, 5_000

SAMPLE = 1_000
"""Messages of each topic that the oracle checks at the end."""


def soak(hours: int, minutes: float, rate: float, say: Say) -> Section:
    """Run the shop for ``hours`` of its time in ``minutes`` of real time.

    ``rate`` is in events per second of real time.
    """
    section = Section("soak")
    clock = Clock(time.time(), hours * HOUR / (minutes * MINUTE))

    def prepare(servers: Pipeline) -> None:
        clock.install(servers.database_url)
        # The publisher stamps checkouts by the real time, which no check reads
        stamped = {topic: topic != "checkouts" for topic in TOPICS}
        clock.compress(servers.kafka, stamped)

    with staged(prepare, expire=False) as stage:
        say(f"{hours} hours in {minutes:g} minutes, {rate:,.0f} events/s")
        begin = clock.now()
        end = begin + hours * HOUR
        events = begin, end, rate / clock.factor
        insights = Insights(stage)
        with _process(stage, clock, "expire") as expire:
            arguments = stage.stack.bootstrap_servers, *map(repr, events)
            with _process(stage, clock, "send", *arguments) as send:
                samples: list[Sample] = []
                for hour in range(1, hours + 1):
                    clock.wait_until(begin + hour * HOUR)
                    _check(expire)
                    if hour < hours:
                        _check(send)
                    pid = expire.process.pid
                    now = clock.now()
                    samples.append(sample(stage, (now - begin) / HOUR, expire=pid))
                    insights.remember(_whole_minute(begin + hour * HOUR))
                    say(str(samples[-1]))
                sent = _result(send)
        drained = stage.drain()
        section.add("sent", sent, "messages")
        section.add("until all was stored, then", drained, "s")
        judge(section, samples)
        say("comparing the insights")
        # The oldest minute of which no event has expired yet
        since = _whole_minute(max(clock.now() - KEPT * HOUR, begin) + 2 * MINUTE)
        insights.compare(section, since, _whole_minute(end), shop(*events))
        _verify(section, stage, say)
    return section


def _verify(section: Section, stage: Stage, say: Say) -> None:
    found = verify(Settings.load().isolated(stage.stack.home), sample=SAMPLE, seed=0)
    findings = (*(found.recomputed or []), *found.sampled)
    differing = [each for each in findings if each.differing]
    for each in differing:
        say(str(each))
    section.add(
        "relations other than recomputed",
        len(differing),
        "",
        target="none",
        met=found.equal,
    )


@contextlib.contextmanager
def _process(
    stage: Stage, clock: Clock, name: str, *arguments: str
) -> Iterator[Running]:
    """Run a process of ``benchmarks.compressed`` until the block ends."""
    home = Home(stage.stack.home)
    expire = role_of("expire", stage.stack.schema_name)
    environment = {
        **os.environ,
        **stage.stack.kafka.environment(),
        "DATABASE_URL": role_url(
            stage.stack.database_url, expire, home.password("expire")
        ),
        "FIRSTCLICK_SCHEMA": stage.stack.schema_name,
    }
    module = [sys.executable, "-m", "benchmarks.compressed", *clock.arguments]
    running = Running.start(
        name, Command([*module, name, *arguments], environment, PROJECT), home.logs
    )
    try:
        yield running
    finally:
        running.stop()


def _result(running: Running) -> int:
    """Wait for the process and return the number that it printed last.

    Raises ServerError if it fails.
    """
    if running.process.wait():
        _check(running)
    return int(running.last_words()[-1])


def _check(running: Running) -> None:
    """Raise ServerError if the process has ended."""
    if running.process.poll() is not None:
        said = next(reversed(running.last_words()), None) or running.unsaid_reason()
        what = " ".join(running.command.arguments[2:6])
        raise ServerError(
            f"{what} ended early, expected it to go on: {said}; run it again"
        )


def _whole_minute(moment: float) -> datetime:
    return datetime.fromtimestamp(moment // MINUTE * MINUTE, UTC)


def main(
    hours: Annotated[int, typer.Option(min=2, help="Of the shop's time.")] = HOURS,
    minutes: Annotated[float, typer.Option(min=0.1, help="Of real time.")] = MINUTES,
    rate: Annotated[float, typer.Option(min=1, help="Events a second.")] = RATE,
    output: Annotated[Path, typer.Option(help="Where to save.")] = RESULTS,
) -> None:
    """Keep a pipeline going for days that pass in minutes, and see what grows."""
    judged("soak", partial(soak, hours, minutes, rate), output)


if __name__ == "__main__":
    typer.run(main)
