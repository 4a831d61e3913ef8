"""The command line of conformance."""

import random
import time
from enum import StrEnum
from typing import Annotated

import psycopg
import typer
from confluent_kafka import KafkaException
from rich.console import Console

from comparison import report
from conformance.cases import CASES
from conformance.deployment import deployed
from firstclick.core.errors import FirstClickError
from firstclick.core.settings import Settings
from firstclick.core.signals import exit_at_sigterm
from harness import PATIENCE

Name = StrEnum("Name", list(CASES))  # type: ignore[misc]


def conformance(
    logs: Annotated[
        list[Name] | None, typer.Argument(help="Which to try; all unless named.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of what is random; printed in any case.")
    ] = None,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds that the engine has for each step.")
    ] = PATIENCE,
) -> None:
    """Send named logs through a pipeline and compare every row with the oracle.

    The engine, its database and Kafka are those that FIRSTCLICK_TARGET, DATABASE_URL
    and KAFKA_BOOTSTRAP_SERVERS name; what is not named is started. Of a server that
    was given nothing is left behind.
    """
    exit_at_sigterm()
    console = Console(highlight=False)
    if seed is None:
        seed = random.randrange(1 << 32)
    failed = False

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    try:
        settings = Settings.load()
        say(f"target {settings.target}, seed {seed}")
        with deployed(settings, patience) as pipeline:
            for name in logs or list(Name):
                start, steps, wrong = time.monotonic(), 0, 0
                before = len(pipeline.messages())
                for outcome in CASES[name](pipeline, seed):
                    steps += 1
                    if outcome.differences:
                        wrong += 1
                        say(f"{name}, {outcome.step}:\n{report(outcome.differences)}")
                failed = failed or wrong > 0
                say(
                    f"{name:9} {'DIFFERS' if wrong else 'equal':8}"
                    f"{len(pipeline.messages()) - before:7,} messages, compared "
                    f"{steps:3} times, {wrong:3} of them with differences, "
                    f"{time.monotonic() - start:5.1f} s"
                )
    except (FirstClickError, TimeoutError, KafkaException, psycopg.Error) as error:
        say(f"conformance: {' '.join(str(error).split())}")
        raise SystemExit(1) from None
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(conformance)
