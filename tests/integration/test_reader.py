"""What the role of the dashboards may read, and everything that it may not do."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from pipeline import Pipeline
from psycopg import sql

from firstclick.errors import ServerError
from firstclick.roles import LIMITS, READER, admit, role_url
from firstclick.stack import Stack
from generator import generate

READABLE = {
    "checkouts",
    "earliest_clicks",
    "failing_tests",
    "last_hour_categories",
    "last_hour_genders",
    "last_hour_payment_failures",
    "last_hour_revenue",
    "last_hour_sources",
    "minute_categories",
    "minute_genders",
    "minute_messages",
    "minute_payment_failures",
    "minute_revenue",
    "minute_sources",
    "newest_events",
    "pipeline_engine",
    "pipeline_health",
    "pipeline_relations",
    "purchase_first_clicks",
    "rejections",
}

FORBIDDEN = [
    "select * from firstclick.users",
    "select name from firstclick.users",
    "select * from firstclick.products",
    "select * from firstclick.raw_clicks",
    "select * from firstclick.raw_purchases",
    "select * from firstclick.kafka_offsets",
    "select * from firstclick.typed_clicks",
    "select * from firstclick.typed_purchases",
    "select * from firstclick.checked_purchases",
    "select ip from firstclick.stg_clicks",
    "select * from firstclick.stg_purchases",
    "select payload from firstclick.rejected_events",
    "select * from firstclick.checkouts_topic",
    "select * from firstclick.checkouts_changes",
    "select * from firstclick_maintenance.models",
    "select firstclick_maintenance.serialise()",
    "insert into firstclick.checkouts (purchase_id) values ('x')",
    "update firstclick.checkouts set profit = 0",
    "delete from firstclick.checkouts",
    "truncate firstclick.checkouts",
    "merge into firstclick.checkouts using (select) as x on true"
    " when matched then delete",
    "copy firstclick.checkouts from stdin",
    "select * from firstclick.checkouts for update",
    "do $$ begin lock table firstclick.checkouts in row exclusive mode; end $$",
    "drop table firstclick.checkouts",
    "drop view firstclick.last_hour_revenue",
    "alter table firstclick.checkouts add note text",
    "create index on firstclick.checkouts (source)",
    "create trigger t after insert on firstclick.checkouts"
    " execute function suppress_redundant_updates_trigger()",
    "comment on table firstclick.checkouts is ''",
    "create table firstclick.mine (x integer)",
    "create table public.mine (x integer)",
    "create temporary table mine (x integer)",
    "create view firstclick.mine as select 1",
    "create function firstclick.mine() returns integer language sql return 1",
    "create schema mine",
    "create role mine",
    "create database mine",
    "alter role firstclick password 'x'",
    "alter role grafana connection limit -1",
    "alter system set fsync = off",
    "set role firstclick",
    "set session authorization firstclick",
    "select pg_advisory_lock(1)",
    "select pg_try_advisory_xact_lock(1, 1)",
    "select lo_creat(-1)",
    "select lo_from_bytea(0, 'x')",
    "select pg_read_file('postgresql.conf')",
    "select * from pg_ls_dir('.')",
    "select * from pg_authid",
    "select * from pg_hba_file_rules",
    "copy firstclick.checkouts to '/tmp/mine'",
    "copy firstclick.checkouts to program 'cat'",
    "select pg_reload_conf()",
    "select pg_stat_reset()",
    "select pg_terminate_backend(pid) from pg_stat_activity"
    " where usename = 'connector'",
    "checkpoint",
]


@pytest.fixture(scope="module")
def pipeline(stack: Stack) -> Iterator[Pipeline]:
    pipeline = Pipeline(stack)
    yield pipeline
    pipeline.close()


@pytest.fixture(scope="module")
def reader(stack: Stack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.reader_url, autocommit=True) as connection:
        yield connection


def test_it_reads_what_dashboards_show_and_nothing_else(
    reader: psycopg.Connection,
) -> None:
    relations = reader.execute(
        "select relname, has_table_privilege(oid, 'select') from pg_class"
        " where relnamespace in ('firstclick'::regnamespace,"
        " 'firstclick_maintenance'::regnamespace) and relkind in ('r', 'v', 'm')"
    ).fetchall()
    assert {name for name, may_read in relations if may_read} == READABLE
    for name in READABLE:
        reader.execute(
            sql.SQL("select * from firstclick.{} limit 1").format(sql.Identifier(name))
        ).fetchall()


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_it_may_do_nothing_else(reader: psycopg.Connection, statement: str) -> None:
    # What its sessions begin with is no protection: anyone may set it otherwise
    reader.execute("set default_transaction_read_only to off")
    with pytest.raises(
        (psycopg.errors.InsufficientPrivilege, psycopg.errors.WrongObjectType)
    ):
        reader.execute(statement.encode())


def test_its_sessions_are_read_only_and_have_limits(stack: Stack) -> None:
    with psycopg.connect(stack.reader_url, autocommit=True) as reader:
        limits = reader.execute(
            "select name, setting || coalesce(unit, '') from pg_settings"
            " where name in ('default_transaction_read_only', 'statement_timeout',"
            " 'idle_in_transaction_session_timeout', 'transaction_timeout')"
        ).fetchall()
        (connections,) = reader.execute(
            "select rolconnlimit from pg_roles where rolname = current_user"
        ).fetchall()
        reader.execute("set statement_timeout to '1ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            reader.execute("select pg_sleep(60)")
    assert dict(limits) == {
        "default_transaction_read_only": "on",
        "idle_in_transaction_session_timeout": "10000ms",
        "statement_timeout": "5000ms",
        "transaction_timeout": "30000ms",
    }
    assert connections == (LIMITS[READER].connections,)


def test_a_full_queue_of_notifications_stops_no_writer(
    stack: Stack, pipeline: Pipeline
) -> None:
    with (
        psycopg.connect(stack.reader_url) as listener,
        psycopg.connect(stack.reader_url, autocommit=True) as sender,
    ):
        listener.execute("listen anything")
        listener.commit()
        # What it has not heard yet is kept until its transaction ends
        listener.execute("select from firstclick.checkouts limit 0")
        sender.execute("set statement_timeout to 0")
        with pytest.raises(psycopg.errors.Error, match="NOTIFY queue"):
            while True:
                sender.execute(
                    "select count(pg_notify('anything', n || repeat('x', 7000)))"
                    " from generate_series(1, 100) as n"
                )
        sent = generate(stack.bootstrap_servers, rate=100, duration=0.5, mess=0)
        assert sent.purchases > 0
        pipeline.settle()
        # Not because it was let go meanwhile
        with pytest.raises(psycopg.errors.Error, match="NOTIFY queue"):
            sender.execute("select pg_notify('anything', repeat('x', 7000))")


def test_an_edited_model_can_be_read_as_before(
    stack: Stack, reader: psycopg.Connection
) -> None:
    with psycopg.connect(stack.database_url, autocommit=True) as owner:
        owner.execute(
            "create table firstclick.checkouts__new (like firstclick.checkouts)"
        )
        with owner.transaction(force_rollback=True):
            owner.execute(
                "select firstclick_maintenance.put_in_place("
                "array['firstclick.checkouts'], array['firstclick.checkouts__new'])"
            )
            may_read = owner.execute(
                "select relname, has_table_privilege('grafana', oid, 'select')"
                " from pg_class where relname in ('checkouts', 'last_hour_revenue')"
                " and relnamespace = 'firstclick'::regnamespace order by 1"
            ).fetchall()
        owner.execute("drop table firstclick.checkouts__new")
    assert may_read == [("checkouts", True), ("last_hour_revenue", True)]


def test_a_role_that_is_missing_and_may_not_be_made_is_an_error(
    servers: Stack,
) -> None:
    name = f"humble_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(servers.database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
        try:
            owner.execute(
                sql.SQL("alter role {} password 'humble'").format(sql.Identifier(name))
            )
            url = role_url(servers.database_url, name, "humble")
            with pytest.raises(ServerError, match="grafana_nobodys is missing"):
                admit(url, "grafana_nobodys", "x", LIMITS[READER])
            # One that is there is its administrator's
            admit(url, name, "other", LIMITS[READER])
            psycopg.connect(url).close()
        finally:
            owner.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
