"""The command line of ``scripts/faults``."""

import random
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from faults.clock import NoClockError
from faults.disks import NoDiskError
from faults.report import save, show
from faults.rounds import LONG, RATE, SHORT, SHORT_RATE, Tally, inflict
from faults.site import site
from firstclick.core.errors import FirstClickError

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "faults.json"


def faults(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Each kind once, at a lower rate; saved nowhere.",
        ),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Of what is random; printed in any case.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where to save.",
            show_default=f"{RESULTS.name} in docs/, none if quick",
        ),
    ] = None,
) -> None:
    """Kill, stop and starve a pipeline under load; then compare it with the oracle."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    if seed is None:
        seed = random.randrange(1 << 32)
    say(f"seed {seed}")
    tally = Tally(seed, SHORT_RATE if quick else RATE)
    try:
        with site(random.Random(seed)) as at:
            for faults in [SHORT] if quick else LONG.values():
                inflict(at, faults, tally, say)
    except (FirstClickError, NoClockError, NoDiskError, TimeoutError) as error:
        say(f"faults: {' '.join(str(error).split())}")
        raise SystemExit(1) from None
    finally:
        if tally.rows:
            show(tally, console)
    target = output or (None if quick else RESULTS)
    if target is not None:
        save(tally, target)
        say(f"Saved {target}")
    raise SystemExit(1 if tally.lost or tally.doubled else 0)


if __name__ == "__main__":
    typer.run(faults)
