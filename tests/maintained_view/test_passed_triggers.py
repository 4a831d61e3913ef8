"""Changes that pass the triggers by are noticed, and the models brought up to date."""

import os
import subprocess
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from project_at_work import ProjectAtWork

from firstclick.database import postgres_environment
from firstclick.embedded.postgres import client_program

CHANGES: LiteralString = """
insert into sales values (901, 1, 'hat', 7000, now());
update sales set amount = amount + 1 where sale_id = 3;
delete from sales where sale_id = 4;
"""

AT_ONCE = ("--vars", "at_once: true")


def problems(project: ProjectAtWork) -> list[tuple[str, str]]:
    with project.connect() as connection:
        return connection.execute(
            "select relation, problem from"
            f" {project.schema}_maintenance.check_triggers()".encode()
        ).fetchall()


PASSED_BY: dict[str, tuple[LiteralString, str]] = {
    "disabled": (
        f"alter table sales disable trigger user; {CHANGES}",
        'the trigger "001_large_sales_insert" is disabled',
    ),
    "disabled for a time": (
        f"alter table sales disable trigger user; {CHANGES}"
        " alter table sales enable trigger user",
        'the trigger "001_large_sales_insert" was disabled for a time,'
        " or fires for some sessions only",
    ),
    "for replicas only": (
        'alter table sales enable replica trigger "001_large_sales_insert";' + CHANGES,
        'the trigger "001_large_sales_insert" was disabled for a time,'
        " or fires for some sessions only",
    ),
    "dropped": (
        f'drop trigger "001_large_sales_insert" on sales; {CHANGES}',
        'the trigger "001_large_sales_insert" is missing',
    ),
    "conditional": (
        'create or replace trigger "001_large_sales_insert" after insert on sales'
        " referencing new table as new_rows for each statement when (false) execute"
        " function {schema}_maintenance.large_sales_from_sales_insert();"
        ' alter table sales enable always trigger "001_large_sales_insert";' + CHANGES,
        'the trigger "001_large_sales_insert" is not the one deployed',
    ),
    "another function": (
        "create or replace function"
        " {schema}_maintenance.large_sales_from_sales_insert() returns trigger"
        f" language plpgsql as 'begin return null; end'; {CHANGES}",
        'the trigger "001_large_sales_insert" is not the one deployed',
    ),
    "no guard": (
        f'drop trigger "000_guard" on sales; truncate sales; {CHANGES}',
        'the trigger "000_guard" is missing',
    ),
}
"""A way past the triggers of `sales`, and what is said of them."""


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("way", PASSED_BY)
def test_a_run_brings_up_to_date_what_passed_the_triggers_by(
    filled: ProjectAtWork, way: str, at_once: bool
) -> None:
    assert problems(filled) == []
    statements, problem = PASSED_BY[way]
    with filled.connect() as connection:
        connection.execute(statements.replace("{schema}", filled.schema).encode())
        assert filled.differences(connection) != {}
    assert (f"{filled.schema}.sales", problem) in problems(filled)
    result = filled.dbt("run", *(AT_ONCE if at_once else ()))
    assert result.returncode == 0, result.stdout
    said = f"{filled.schema}.sales: {problem}: its models are computed again"
    assert said in result.stdout
    assert problems(filled) == []
    with filled.connect() as connection:
        assert filled.differences(connection) == {}
        connection.execute("insert into sales values (902, 1, 'hat', 7000, now())")
        assert filled.differences(connection) == {}


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
    database = "firstclick"
    environment = {**os.environ, **postgres_environment(superuser)}
    only = ("--data-only", "--schema", filled.schema)
    for program, *arguments in (
        ("pg_dump", "--format", "custom", "--schema", filled.schema, "-f", str(file)),
        ("pg_restore", *only, "--table", "sales", "--disable-triggers", "-d", database),
    ):
        if program == "pg_restore":
            with filled.connect() as connection:
                connection.execute("delete from sales where sale_id % 2 = 0")
                connection.execute("delete from sales")
            arguments.append(str(file))
        done = subprocess.run(
            [client_program(program, None, superuser), *arguments],
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
