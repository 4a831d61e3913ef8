"""Models follow tables that logical replication fills."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from project_at_work import TABLES, ProjectAtWork
from psycopg.conninfo import make_conninfo

from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from worker_world import eventually

FIRST: LiteralString = """
insert into shops values (1, 'north'), (2, 'south');
insert into sales
select n, n % 3, 'hat', n, '2026-01-01' from generate_series(1, 100) as n;
"""

THEN: list[LiteralString] = [
    "insert into sales values (900, 1, 'hat', 7000, now()), (901, 2, null, 1, now())",
    "update sales set amount = amount + 1, product = 'sock' where sale_id < 30",
    "delete from sales where sale_id % 7 = 0; update shops set region = 'west'"
    " where shop_id = 1; insert into returns values (1, 900, 1)",
    "update sales set sale_id = sale_id + 5000 where sale_id < 10",
    "truncate returns; insert into sales select 10000 + n, 1, 'hat', 1, now()"
    " from generate_series(1, 50) as n",
    "truncate sales",
]


@pytest.fixture(scope="module")
def replicating(make_home: Callable[[], Path]) -> Pipeline:
    """Start servers whose PostgreSQL can replicate, with a database `shop`."""
    home = make_home()
    settings = Settings.load().model_copy(update={"home": home})
    stack = stacks.start(settings, detach=False, servers_only=True).pipeline
    with as_superuser(stack) as connection:
        for setting in ("wal_level = logical", "max_wal_senders = 10"):
            connection.execute(f"alter system set {setting}".encode())
        connection.execute("create database shop")
    stacks.down(home)
    return stacks.start(settings, detach=False, servers_only=True).pipeline


def as_superuser(stack: Pipeline, **parameters: str) -> psycopg.Connection[Any]:
    return psycopg.connect(superuser_of(stack, **parameters), autocommit=True)


def superuser_of(stack: Pipeline, **parameters: str) -> str:
    password = Home(stack.home).password("superuser")
    return make_conninfo(
        stack.database_url, user="postgres", password=password, **parameters
    )


@pytest.fixture
def project(replicating: Pipeline, tmp_path: Path) -> ProjectAtWork:
    project = ProjectAtWork(tmp_path, replicating.database_url, "replicated")
    project.make_tables()
    return project


def test_models_follow_a_subscription(
    replicating: Pipeline, project: ProjectAtWork
) -> None:
    project.run()
    options = "-csearch_path=replicated"
    with (
        as_superuser(replicating, dbname="shop", options=options) as shop,
        as_superuser(replicating) as subscriber,
        project.connect() as reader,
    ):
        shop.execute("create schema replicated")
        shop.execute(TABLES)
        shop.execute(FIRST)
        shop.execute("create publication shop for tables in schema replicated")
        # With both databases on one server, create subscription would hang if it
        # created the slot itself
        shop.execute("select pg_create_logical_replication_slot('shop', 'pgoutput')")
        where = superuser_of(replicating, dbname="shop").replace("'", "''")
        subscriber.execute(
            f"create subscription shop connection '{where}' publication shop"
            " with (create_slot = false, slot_name = shop)".encode()
        )
        try:
            for statements in ("", *THEN):
                shop.execute(statements)
                there = rows(shop)
                eventually(lambda there=there: rows(reader) == there, statements)
                assert project.differences(reader) == {}
                reader.commit()
        finally:
            subscriber.execute("drop subscription shop")


def rows(connection: psycopg.Connection[Any]) -> list[Any]:
    """Return the rows of the tables, which both databases have."""
    with connection.transaction():
        return [
            connection.execute(f"select * from {table} order by 1".encode()).fetchall()
            for table in ("sales", "returns", "shops")
        ]
