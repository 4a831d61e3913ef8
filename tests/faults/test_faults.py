"""A pipeline under load loses and duplicates nothing, whatever the kind of fault.

``scripts/faults`` inflicts more faults and prints their results.
"""

import os
from collections.abc import Iterator
from random import Random

import pytest
from rich.console import Console

from faults.report import show
from faults.rounds import SHORT, SHORT_RATE, Tally, inflict
from faults.site import Site, site

# Seconds: a dozen faults, each of which may take half a minute on a busy machine
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    """The results of the module's tests, printed at their end."""
    seed = os.environ.get("FIRSTCLICK_TEST_SEED", 0)
    tally = Tally(int(seed) or Random().randrange(1, 1 << 32), SHORT_RATE)
    yield tally
    show(tally, Console())


@pytest.fixture(scope="module")
def pipeline(tally: Tally) -> Iterator[Site]:
    with site(Random(tally.seed)) as made:
        yield made


def test_nothing_is_lost_or_doubled(pipeline: Site, tally: Tally) -> None:
    print(f"FIRSTCLICK_TEST_SEED={tally.seed}")
    compared = inflict(pipeline, SHORT, tally, print)
    assert (compared.lost, compared.doubled) == (0, 0)
