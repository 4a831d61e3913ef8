"""Verify a live pipeline on any engine, as of one moment."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from firstclick.core.database import connect
from firstclick.core.engines import ENGINES, Engine
from firstclick.core.errors import ServerError
from firstclick.core.pipeline import running
from firstclick.core.settings import Settings
from firstclick.verify.findings import Finding, Verification, in_utc
from firstclick.verify.recompute import Model, recompute, snapshot
from firstclick.verify.sample import Sample
from firstclick.verify.triggers import trigger_problems

OnFinding = Callable[[Finding], None]


def verify(
    settings: Settings,
    *,
    sample: int,
    seed: int | None = None,
    on_finding: OnFinding = lambda finding: None,
) -> Verification:
    """Compare the relations of one moment with the raw tables.

    On the embedded engine, recomputes all relations. On every engine, the oracle checks
    ``sample`` messages of each topic. ``on_finding`` gets each relation when it is
    done. Raises FirstClickError.
    """
    start = time.monotonic()
    seed = random.randrange(1 << 32) if seed is None else seed
    url, schema = settings.database_url, settings.schema_name
    project = settings.project
    if url is None:
        if settings.target != "embedded":
            raise ServerError(
                f"FIRSTCLICK_TARGET is {settings.target!r} without DATABASE_URL, "
                "expected both: set it to the engine's database"
            )
        found = running(settings)
        url, schema = found.database_url, found.schema_name
        project = found.project
    engine = ENGINES[settings.target]

    def each(findings: Iterator[Finding]) -> list[Finding]:
        done = []
        for finding in findings:
            on_finding(finding)
            done.append(finding)
        return done

    try:
        with _moment(url, schema, settings.target) as (connection, models):
            recomputed = None if models is None else each(recompute(connection, models))
            samples = Sample(connection, schema, engine, sample, seed, project)
            sampled = each(samples.findings())
            triggers = [] if models is None else trigger_problems(connection, schema)
            at = _now(connection, engine)
    except psycopg.Error as error:
        raise ServerError(
            f"the database can't be verified: {' '.join(str(error).split())}"
        ) from error
    return Verification(
        equal=not any(finding.differing for finding in (*(recomputed or []), *sampled)),
        target=settings.target,
        at=at,
        seed=seed,
        seconds=round(time.monotonic() - start, 3),
        recomputed=recomputed,
        sampled=sampled,
        triggers=triggers,
    )


@contextmanager
def _moment(
    database_url: str, schema: str, target: str
) -> Iterator[tuple[psycopg.Connection[Any], list[Model] | None]]:
    engine = ENGINES[target]
    if engine.name == "embedded":
        with snapshot(database_url, schema) as (connection, models):
            yield connection, models
        return
    with connect(database_url, target=target, autocommit=True) as connection:
        connection.execute(engine.begin)
        if engine.first is not None:
            names = {
                "schema": sql.Identifier(schema),
                "sources": sql.Identifier(engine.sources_of(schema)),
            }
            connection.execute(sql.SQL(engine.first).format(**names))
        yield connection, None
        connection.execute("rollback")


def _now(connection: psycopg.Connection[Any], engine: Engine) -> datetime:
    row = connection.execute(engine.now).fetchone()
    assert row is not None
    [now] = in_utc(row)
    assert isinstance(now, datetime)
    return now
