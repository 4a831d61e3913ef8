"""Faults of each kind, on a pipeline under load: nothing is lost or doubled.

``scripts/faults`` inflicts more of them, and prints what they came to.
"""

import os
from collections.abc import Iterator
from random import Random

import pytest
from rich.console import Console

from faults.report import show
from faults.rounds import SHORT, Tally, inflict
from faults.site import Site, site


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """What the tests of the module come to, printed at their end."""
    tally = Tally(
        int(os.environ.get("FIRSTCLICK_TEST_SEED", 0)) or Random().randrange(1, 1 << 32)
    )
    yield tally
    show(tally, Console())


@pytest.fixture(scope="module")
def pipeline(tally: Tally) -> Iterator[Site]:
    with site(Random(tally.seed)) as made:
        yield made


@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost_or_doubled(pipeline: Site, tally: Tally, name: str) -> None:
    print(f"FIRSTCLICK_TEST_SEED={tally.seed}")
    compared = inflict(pipeline, SHORT[name], tally, print)
    assert (compared.lost, compared.doubled) == (0, 0)
