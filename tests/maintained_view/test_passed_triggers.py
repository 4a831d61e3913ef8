"""A deployment notices changes that bypassed the triggers, and repairs the models."""

import os
import subprocess
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from project_at_work import ProjectAtWork
from psycopg.conninfo import make_conninfo

from firstclick.core.database import postgres_environment
from firstclick.servers.postgres import client_program

CHANGES: LiteralString = """
insert into sales values (901, 2, 'hat', 7000, now());
update sales set amount = amount + 1 where sale_id = 3;
delete from sales where sale_id = 4;
"""

SINGLE_TRANSACTION = ("--vars", "single_transaction: true")


def problems(project: ProjectAtWork) -> list[tuple[str, str]]:
    with project.connect() as connection:
        return connection.execute(
            "select relation, problem from"
            f" {project.schema}_maintenance.check_triggers()".encode()
        ).fetchall()


PASSED_BY: dict[str, tuple[LiteralString, str, str, str]] = {
    "disabled": (
        "alter table shops disable trigger user;"
        " update shops set region = 'west' where shop_id = 1",
        "sale_details",
        "shops",
        'the trigger "002_sale_details_update" is disabled',
    ),
    "disabled for a time": (
        "alter table returns disable trigger user; delete from returns;"
        " alter table returns enable trigger user",
        "returned_sales",
        "returns",
        'the trigger "003_returned_sales_delete" was disabled for a time,'
        " or fires for some sessions only",
    ),
    "for replicas only": (
        'alter table sales enable replica trigger "001_best_sales_insert"',
        "best_sales",
        "sales",
        'the trigger "001_best_sales_insert" was disabled for a time,'
        " or fires for some sessions only",
    ),
    "dropped": (
        'drop trigger "001_latest_sales_insert" on sales',
        "latest_sales",
        "sales",
        'the trigger "001_latest_sales_insert" is missing',
    ),
    "conditional": (
        'create or replace trigger "001_large_sales_insert" after insert on sales'
        " referencing new table as new_rows for each statement when (false) execute"
        " function {schema}_maintenance.large_sales_from_sales_insert();"
        ' alter table sales enable always trigger "001_large_sales_insert"',
        "large_sales",
        "sales",
        'the trigger "001_large_sales_insert" is not the one deployed',
    ),
    "another function": (
        "create or replace function"
        " {schema}_maintenance.sale_days_from_sales_insert() returns trigger"
        " language plpgsql as 'begin return null; end'",
        "sale_days",
        "sales",
        'the trigger "001_sale_days_insert" is not the one deployed',
    ),
    "no guard": (
        "insert into shelves values (1, 1, 'hat');"
        ' drop trigger "000_guard" on shelves; truncate shelves',
        "filled_shelves",
        "shelves",
        'the trigger "000_guard" is missing',
    ),
}
"""Ways to bypass the triggers of a table, which don't affect one another. Each has a
model that misses changes only in this way, the table, and the reported problem."""


@pytest.mark.parametrize("single_transaction", [False, True])
def test_a_run_brings_up_to_date_what_passed_the_triggers_by(
    filled: ProjectAtWork, single_transaction: bool
) -> None:
    assert problems(filled) == []
    with filled.connect() as connection:
        for statements, *_ in PASSED_BY.values():
            connection.execute(statements.replace("{schema}", filled.schema).encode())
        connection.execute(CHANGES)
        differing = filled.differences(connection)
    found = problems(filled)
    result = filled.dbt("run", *(SINGLE_TRANSACTION if single_transaction else ()))
    assert result.returncode == 0, result.stdout
    for way, (_, model, table, problem) in PASSED_BY.items():
        relation = f"{filled.schema}.{table}"
        assert f'"{filled.database}"."{filled.schema}"."{model}"' in differing, way
        assert (relation, problem) in found, way
        said = f"{relation}: {problem}: its models are computed again"
        assert said in result.stdout, way
    assert problems(filled) == []
    with filled.connect() as connection:
        assert filled.differences(connection) == {}
        for statement in (
            "insert into sales values (902, 1, 'hat', 7000, now())",
            "update shops set region = 'east' where shop_id = 1",
            "insert into returns values (1, 5, 1), (2, 6, 1)",
            "delete from returns where return_id = 1",
            "insert into shelves values (1, 1, 'hat')",
            "truncate shelves",
        ):
            connection.execute(statement)
            assert filled.differences(connection) == {}, statement


def test_triggers_fire_for_sessions_of_replication_too(
    filled: ProjectAtWork, as_replica: psycopg.Connection[Any]
) -> None:
    with as_replica:
        as_replica.execute(CHANGES)
        assert filled.differences(as_replica) == {}
        as_replica.execute("truncate sales")
        assert filled.differences(as_replica) == {}


def test_pg_restore_that_disables_triggers_is_noticed(
    filled: ProjectAtWork, superuser: str, tmp_path: Path
) -> None:
    file = tmp_path / "sales.dump"
    url = make_conninfo(superuser, dbname=filled.database)
    environment = {**os.environ, **postgres_environment(url)}
    only = ("--data-only", "--schema", filled.schema)
    for program, *arguments in (
        ("pg_dump", "--format", "custom", "--schema", filled.schema, "-f", str(file)),
        (
            "pg_restore",
            *only,
            "--table",
            "sales",
            "--disable-triggers",
            "-d",
            filled.database,
        ),
    ):
        if program == "pg_restore":
            with filled.connect() as connection:
                connection.execute("delete from sales where sale_id % 2 = 0")
                connection.execute("delete from sales")
            arguments.append(str(file))
        done = subprocess.run(
            [client_program(program, None, url), *arguments],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert problems(filled) != []
    filled.run()
    assert problems(filled) == []
    with filled.connect() as connection:
        assert filled.differences(connection) == {}
        count = connection.execute("select count(*) from sale_details").fetchone()
        assert count == (300,)
