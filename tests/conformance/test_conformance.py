"""Every relation equals the oracle's, row by row, after each step of each named log."""

import os
import random
from collections.abc import Iterator

import pytest

from comparison import report
from conformance.cases import CASES
from conformance.deployment import deployed
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from harness import Harness


@pytest.fixture(scope="module")
def pipeline(servers: Pipeline) -> Iterator[Harness]:
    """A pipeline with topics and a schema of its own, on the session's servers."""
    settings = Settings.load().model_copy(
        update={
            "database_url": servers.database_url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
        }
    )
    with deployed(settings) as pipeline:
        yield pipeline


@pytest.mark.parametrize("name", CASES)
def test_the_relations_are_those_of_the_oracle(pipeline: Harness, name: str) -> None:
    seed = int(os.environ.get("FIRSTCLICK_TEST_SEED", 0)) or random.randrange(
        1, 1 << 32
    )
    print(f"FIRSTCLICK_TEST_SEED={seed}")
    steps = 0
    for outcome in CASES[name](pipeline, seed):
        steps += 1
        assert not outcome.differences, f"{outcome.step}\n{report(outcome.differences)}"
    assert steps > 0
