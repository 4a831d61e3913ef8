"""Every relation of the embedded engine against plain SQL over the raw tables."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import UndefinedTable

from firstclick.core.database import connect
from firstclick.core.errors import DeploymentError
from firstclick.verify.findings import SHOWN_ROWS, Example, Finding

_ATTEMPTS = 10
_FOR_KAFKA = "checkouts_topic"

_MODELS = "select relation, kind, sql, parents from {} order by rank, relation"

# Sorting and hashing beyond that go to the disk, as the temporary tables do.
_BOUNDS = "set local work_mem to '32MB'; set local jit to off"

_INDEXES = """
select pg_get_indexdef(indexrelid) from pg_index where indrelid = %s::regclass
"""

# By groups and not by `except all`, whose hash table in memory has no bound.
_COMPARED = """
select {columns}, count(*) filter (where is_stored) as stored,
    count(*) filter (where not is_stored) as expected
from (
    select true as is_stored, * from {relation}
    union all
    select false, * from {anew}
) as sides
group by {columns}
"""

_COUNTED = """
select
    coalesce(greatest(sum(stored), sum(expected)), 0)::bigint,
    coalesce(greatest(
        sum(greatest(stored - expected, 0)), sum(greatest(expected - stored, 0))
    ), 0)::bigint
from ({compared}) as compared
"""

_DIFFERING = """
select * from ({compared}) as compared where stored <> expected
order by {columns} limit {limit}
"""


@dataclass(frozen=True, slots=True)
class Model:
    """A deployed model: what it is, and the SQL that it should equal."""

    relation: str
    """As dbt renders it: `"database"."schema"."name"`."""
    kind: str
    sql: str
    parents: list[str]

    @property
    def name(self) -> str:
        return self.relation.split('"')[-2]


@contextmanager
def snapshot(
    database_url: str, schema: str
) -> Iterator[tuple[psycopg.Connection[Any], list[Model]]]:
    """A transaction in which all relations are those of one moment, and the models.

    Readers and writers go on; only what would replace a relation waits. What the
    transaction makes is gone with it. Raises DeploymentError, psycopg.Error.
    """
    catalogue = sql.SQL(_MODELS).format(
        sql.Identifier(f"{schema}_maintenance", "models")
    )
    with connect(database_url) as connection:
        for _ in range(_ATTEMPTS):
            models = _models(connection, catalogue, schema)
            connection.rollback()
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            # Before the moment is taken, with the first query: a table that is put in
            # another's place after it would seem empty
            if _locked(connection, models) and models == _models(
                connection, catalogue, schema
            ):
                connection.execute(_BOUNDS)
                connection.execute(
                    sql.SQL("select {}()").format(
                        sql.Identifier(f"{schema}_maintenance", "pin")
                    )
                )
                yield connection, models
                connection.rollback()
                return
            connection.rollback()
    raise DeploymentError(
        # Cause: Somebody edited the project and did not deploy it.
        # Remedy: Run `dbt run`, then verify again.
        f"the models of schema {schema} differ from what the database holds, or dbt "
        "changes them all the time: run `dbt run`, then verify again"
    )


def recompute(
    connection: psycopg.Connection[Any], models: list[Model]
) -> Iterator[Finding]:
    """Run each model's SQL anew, and compare the relation with the result.

    In dbt's order, into temporary relations that read one another: what the connector
    and the seeds filled is all that they have in common with the stored ones. They
    take as much of the database's disk as the stored relations do; memory is bounded
    by settings, here by a few rows. The view of what goes to Kafka is left out: equal
    decimals are different texts where one was written with more zeros. So is what reads
    no other relation, as the sizes of the relations do: messages don't decide it.
    """
    anew: dict[str, str] = {}
    for model in models:
        statement = model.sql
        for stored, temporary in anew.items():
            statement = statement.replace(stored, temporary)
        anew[model.relation] = temporary = f'pg_temp."{model.name}"'
        if model.kind == "view":
            _run(connection, f"create temporary view {temporary} as {statement}")
        else:
            _run(connection, f"create temporary table {temporary} as {statement}")
            for index in _indexes(connection, model.relation, temporary):
                _run(connection, index)
            _run(connection, f"analyze {temporary}")
        if model.name != _FOR_KAFKA and model.parents:
            yield _compare(connection, model, temporary)


def _models(
    connection: psycopg.Connection[Any], catalogue: sql.Composed, schema: str
) -> list[Model]:
    try:
        rows = connection.execute(catalogue).fetchall()
    except UndefinedTable:
        rows = []
    if not rows:
        raise DeploymentError(
            f"the database holds no models in schema {schema}, expected those that "
            "`firstclick up` or `dbt run` deploys: run it, or see FIRSTCLICK_SCHEMA"
        )
    return [Model(*row) for row in rows]


def _locked(connection: psycopg.Connection[Any], models: list[Model]) -> bool:
    relations = {relation for model in models for relation in model.parents}
    relations.update(model.relation for model in models)
    names = ", ".join(sorted(relations))
    try:
        _run(connection, f"lock table {names} in access share mode")
    except UndefinedTable:
        return False
    return True


def _indexes(
    connection: psycopg.Connection[Any], relation: str, temporary: str
) -> list[str]:
    # Not unique: what isn't is to be found, not to be an error
    return [
        re.sub(
            r"^CREATE (?:UNIQUE )?INDEX .*? ON .*? USING",
            f"create index on {temporary} using",
            definition.removesuffix(" NULLS NOT DISTINCT"),
        )
        for (definition,) in connection.execute(_INDEXES, [relation])
    ]


def _compare(
    connection: psycopg.Connection[Any], model: Model, temporary: str
) -> Finding:
    described = _run(connection, f"select * from {temporary} limit 0").description or ()
    names = [column.name for column in described]
    columns = ", ".join(f'"{name}"' for name in names)
    compared = _COMPARED.format(
        columns=columns, relation=model.relation, anew=temporary
    )
    [(rows, differing)] = _run(connection, _COUNTED.format(compared=compared))
    examples = []
    if differing:
        examples = [
            Example(
                "stored" if stored > expected else "expected",
                dict(zip(names, row, strict=True)),
            )
            for *row, stored, expected in _run(
                connection,
                _DIFFERING.format(
                    compared=compared, columns=columns, limit=2 * SHOWN_ROWS
                ),
            )
        ]
    return Finding(model.name, rows, differing, examples)


def _run(
    connection: psycopg.Connection[Any], statement: str
) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.execute(statement.encode())
