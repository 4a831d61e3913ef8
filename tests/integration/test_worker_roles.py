"""The workers' roles may do their work, and nothing else."""

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.servers.roles import WORKERS, admit_workers, role_url
from worker_world import eventually

PRIVILEGES = {
    "connector": {
        "raw_clicks": {"insert", "delete"},
        "raw_purchases": {"insert", "delete"},
        "kafka_offsets": {"select", "insert", "update", "delete"},
        "kafka_tombstones": {"select", "insert", "update", "delete"},
    },
    "publisher": {
        "checkouts_topic": {"select"},
        "checkouts_changes": {"select", "insert", "delete"},
        "checkouts_published": {"select", "insert", "update", "delete"},
    },
    "expire": {
        "raw_clicks": {"delete"},
        "raw_purchases": {"delete"},
        "expired_events": {"select"},
    },
}
"""Privileges on whole relations; the roles have a few more on columns."""

FORBIDDEN = [
    "select payload from firstclick.raw_clicks",
    "update firstclick.raw_purchases set event_key = null",
    "update firstclick.raw_clicks set payload = '' returning payload",
    "select * from firstclick.users",
    "update firstclick.users set name = ''",
    "select * from firstclick.products",
    "update firstclick.products set price = 0",
    "select * from firstclick.checkouts",
    "select * from firstclick.base_clicks",
    "insert into firstclick.base_clicks (click_id) values ('x')",
    "insert into firstclick.checkouts (purchase_id) values ('x')",
    "update firstclick.checkouts set profit = 0",
    "delete from firstclick.checkouts",
    "update firstclick.checkouts_changes set purchase_id = 'x'",
    "update firstclick.minute_revenue set revenue = 0",
    "select payload from firstclick.rejected_events",
    "select * from firstclick.last_hour_revenue",
    "select * from firstclick_maintenance.models",
    "update firstclick_maintenance.models set sql = ''",
    "truncate firstclick.raw_clicks",
    "truncate firstclick.kafka_offsets",
    "truncate firstclick.checkouts_changes",
    "truncate firstclick.kafka_tombstones",
    "truncate firstclick.checkouts_published",
    "copy firstclick.checkouts from stdin",
    "copy firstclick.raw_clicks (payload) to stdout",
    "drop table firstclick.raw_clicks",
    "alter table firstclick.raw_clicks disable trigger user",
    "alter table firstclick.raw_clicks add note text",
    "set session_replication_role to replica",
    "create trigger t after insert on firstclick.raw_clicks"
    " execute function suppress_redundant_updates_trigger()",
    'drop trigger "000_guard" on firstclick.raw_clicks',
    "create or replace function firstclick_maintenance.guard() returns trigger"
    " language plpgsql as 'begin return null; end'",
    "alter function firstclick_maintenance.guard() security invoker",
    "create table firstclick.mine (x integer)",
    "create table firstclick_maintenance.mine (x integer)",
    "create table public.mine (x integer)",
    "create temporary table mine (x integer)",
    "create function public.mine() returns integer language sql return 1",
    "create schema mine",
    "create role mine",
    "create database mine",
    "alter role firstclick password 'x'",
    "alter role connector connection limit -1",
    "alter system set fsync = off",
    "set role firstclick",
    "set session authorization firstclick",
    "grant connector to publisher",
    "select pg_advisory_lock(1)",
    "select pg_advisory_xact_lock(1, 1)",
    "select lo_creat(-1)",
    "select pg_read_file('postgresql.conf')",
    "select * from pg_authid",
    "copy (select 1) to '/tmp/mine'",
    "copy (select 1) to program 'cat'",
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where usename = 'firstclick'",
    "checkpoint",
]

Connect = Callable[[str], psycopg.Connection]


@pytest.fixture(scope="module")
def connect(stack: Pipeline) -> Iterator[Connect]:
    sessions: dict[str, psycopg.Connection] = {}

    def session(worker: str) -> psycopg.Connection:
        if worker not in sessions:
            password = Home(stack.home).password(worker)
            url = role_url(stack.database_url, worker, password)
            sessions[worker] = psycopg.connect(url, autocommit=True)
        return sessions[worker]

    # A session of the owner, which the workers must not be able to end
    with psycopg.connect(stack.database_url):
        yield session
    for connection in sessions.values():
        connection.close()


def test_each_worker_works_by_its_own_role(stack: Pipeline) -> None:
    with psycopg.connect(stack.database_url, autocommit=True) as owner:

        def working() -> set[tuple[str, str]]:
            return set(
                owner.execute(
                    "select usename, application_name from pg_stat_activity"
                    " where application_name in ('firstclick connector',"
                    " 'firstclick publisher') and datname = current_database()"
                    # Leaves out pipelines of other schemas, which share the server
                    " and strpos(usename, '_') = 0"
                ).fetchall()
            )

        workers = ("connector", "publisher")
        expected = {(worker, f"firstclick {worker}") for worker in workers}
        # Wait, because a short-lived check may be connected for a moment, too
        eventually(lambda: working() == expected, "both at work")


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_has_the_privileges_of_its_work_alone(
    connect: Connect, worker: str
) -> None:
    granted = (
        connect(worker)
        .execute(
            "select relname, lower(privilege) from pg_class"
            " cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE',"
            " 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN']) as privilege"
            " where relnamespace in ('firstclick'::regnamespace,"
            " 'firstclick_maintenance'::regnamespace) and relkind in ('r', 'v', 'm')"
            " and has_table_privilege(pg_class.oid, privilege)"
        )
        .fetchall()
    )
    assert set(granted) == {
        (relation, privilege)
        for relation, privileges in PRIVILEGES[worker].items()
        for privilege in privileges
    }


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_worker_may_do_nothing_else(
    connect: Connect, worker: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect(worker).execute(statement.encode())


def test_where_no_role_can_be_made_the_workers_work_as_the_owner(
    servers: Pipeline,
) -> None:
    name = f"humble_{uuid.uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with psycopg.connect(servers.database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("create role {} login password 'x'").format(role))
        try:
            url = role_url(servers.database_url, name, "x")
            assert admit_workers(url, name, lambda worker: "y") == dict.fromkeys(
                WORKERS, url
            )
        finally:
            owner.execute(sql.SQL("drop role {}").format(role))


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_calls_no_function_that_works_as_the_owner_but_its_own(
    connect: Connect, worker: str
) -> None:
    callable_ = (
        connect(worker)
        .execute(
            "select proname from pg_proc"
            " where pronamespace = 'firstclick_maintenance'::regnamespace"
            " and prosecdef and has_function_privilege(oid, 'execute')"
        )
        .fetchall()
    )
    assert {name for (name,) in callable_} == {
        "connector": {"try_singleton_lock", "analyze_tables", "lock_writers"},
        "publisher": {"try_singleton_lock"},
        "expire": {"lock_writers"},
    }[worker]


def test_what_works_as_the_owner_finds_names_in_the_catalogue_alone(
    stack: Pipeline,
) -> None:
    with psycopg.connect(stack.database_url) as owner:
        paths = owner.execute(
            "select distinct setting from pg_proc"
            " left join unnest(proconfig) as setting on setting ~ '^search_path='"
            " where pronamespace = 'firstclick_maintenance'::regnamespace"
            " and prosecdef"
        ).fetchall()
    assert paths == [("search_path=pg_catalog, pg_temp",)]


def test_a_name_in_the_writers_own_path_is_not_taken_for_the_catalogues(
    stack: Pipeline,
) -> None:
    """A compromised connector gains nothing if it can write to some schema."""
    trap = sql.Identifier(f"trap_{uuid.uuid4().hex[:8]}")
    with psycopg.connect(stack.database_url) as owner:
        owner.execute(sql.SQL("create schema {}").format(trap))
        owner.execute(
            sql.SQL(
                "create function {}.hashtextextended(text, integer) returns bigint"
                " language plpgsql as 'begin raise exception ''caught''; end'"
            ).format(trap)
        )
        owner.execute(sql.SQL("set search_path to {}, pg_catalog").format(trap))
        owner.execute("select firstclick_maintenance.lock_writers()")
        with pytest.raises(psycopg.errors.RaiseException, match="caught"):
            owner.execute("select hashtextextended('', 0)")
        owner.rollback()
