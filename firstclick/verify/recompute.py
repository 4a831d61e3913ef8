"""Compare every relation of the embedded engine with plain SQL over the raw tables."""

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
"""How often to try to lock the relations while dbt keeps replacing them."""
_FOR_KAFKA = "checkouts_topic"

_MODELS = "select relation, kind, sql, parents from {} order by rank, relation"

# Larger sorts and hashes go to disk, as temporary tables do, so memory stays bounded.
_BOUNDS = "set local work_mem to '32MB'; set local jit to off"

_INDEXES = """
select pg_get_indexdef(indexrelid) from pg_index where indrelid = %s::regclass
"""

# With `group by` instead of `except all`: the hash table of the latter has no memory
# limit.
_COMPARED = """
select {columns}, count(*) filter (where is_stored) as stored,
    count(*) filter (where not is_stored) as expected
from (
    select true as is_stored, * from {relation}
    union all
    select false, * from {recomputed}
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
    """A deployed model and the SQL whose result it should equal."""

    relation: str
    """The relation as dbt renders it: `"database"."schema"."name"`."""
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
    """Yield a transaction that sees all relations as of one moment, and their models.

    Readers and writers are not blocked, only statements that would replace a relation.
    The transaction is rolled back at the end. Raises DeploymentError and psycopg.Error.
    """
    catalogue = sql.SQL(_MODELS).format(
        sql.Identifier(f"{schema}_maintenance", "models")
    )
    with connect(database_url) as connection:
        for _ in range(_ATTEMPTS):
            models = _models(connection, catalogue, schema)
            connection.rollback()
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            # Lock before the first query, which takes the snapshot. A table that dbt
            # swaps in after the snapshot would seem empty.
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
    """Run each model's SQL again, and compare the stored relation with the result.

    Models run in dbt's order, into temporary relations that read one another. So the
    stored and the recomputed relations have only the raw tables and the seeds in
    common. The temporary relations need as much disk in the database as the stored
    ones; memory is bounded by settings on the server, and by a few rows here.

    Two kinds of models are not compared. The view of the checkouts topic holds decimals
    as text, and equal decimals can be different texts, for example ``1.5`` and
    ``1.50``. Models without parents, such as relation sizes, don't depend on messages.
    """
    remade: dict[str, str] = {}
    for model in models:
        statement = model.sql
        for stored, temporary in remade.items():
            statement = statement.replace(stored, temporary)
        remade[model.relation] = temporary = f'pg_temp."{model.name}"'
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
    # Without `unique`: a duplicate row is a difference to report, not an error
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
        columns=columns, relation=model.relation, recomputed=temporary
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
