"""A shop's pipeline to query, and an empty twin to put into any state."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from twin import Twin, settled

from firstclick.core.pipeline import Pipeline
from firstclick.dashboard.definition import DIRECTORY, Dashboard, load_all
from firstclick.workers.connector.source import Source
from firstclick_generator import generate


@pytest.fixture(scope="session")
def dashboards() -> dict[str, Dashboard]:
    return load_all()


@pytest.fixture(scope="session")
def files() -> dict[str, dict[str, Any]]:
    """Return the dashboards' JSON by uid, unchanged."""
    found = [json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*.json"))]
    return {dashboard["uid"]: dashboard for dashboard in found}


@pytest.fixture(scope="session")
def shop(stack: Pipeline) -> Pipeline:
    """Return the session's stack, after three hours of a small shop."""
    generate(
        stack.bootstrap_servers,
        rate=2,
        duration=1,
        anomaly_rate=0.1,
        backfill_hours=3,
        seed=7,
    )
    with Source(stack.kafka, stack.topic_prefix) as source:
        settled(stack, source)
    return stack


@pytest.fixture(scope="session")
def reader(shop: Pipeline) -> Iterator[psycopg.Connection]:
    """Connect as the role that Grafana uses."""
    with psycopg.connect(shop.reader_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def twins(stack: Pipeline) -> Iterator[Twin]:
    twin = Twin(stack.database_url, stack.schema_name, "empty_twin")
    yield twin
    twin.database.execute(
        sql.SQL("drop schema {} cascade").format(sql.Identifier(twin.schema))
    )
    twin.database.close()


@pytest.fixture
def twin(twins: Twin) -> Twin:
    """Return the pipeline's relations without rows, which nothing maintains."""
    twins.empty()
    return twins
