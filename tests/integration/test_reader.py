"""The dashboards' role may read its relations, and do nothing else."""

import logging
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from firstclick.core.errors import ServerError
from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.servers.roles import (
    HARDEN,
    LIMITS,
    PAGE,
    READER,
    admit,
    admit_page,
    may_do_harm,
    oversee,
    role_url,
    settings_of,
)
from firstclick.servers.sessions import Watch
from firstclick_generator import generate
from harness import Harness
from worker_world import eventually

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
    "select * from firstclick.base_clicks",
    "select * from firstclick.base_purchases",
    "select * from firstclick.int_purchases_validated",
    "select ip from firstclick.stg_clicks",
    "select * from firstclick.stg_purchases",
    "select payload from firstclick.rejected_events",
    "select * from firstclick.checkouts_topic",
    "select * from firstclick.checkouts_changes",
    "select * from firstclick_maintenance.models",
    "select firstclick_maintenance.lock_writers()",
    "select firstclick_maintenance.analyze_tables()",
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
    "select lo_create(0)",
    "select lo_from_bytea(0, 'x')",
    "select lo_put(1, 0, 'x')",
    "select lo_truncate64(1, 1)",
    "select loread(0, 1)",
    "select lowrite(0, 'x')",
    "select pg_logical_emit_message(false, 'x', repeat('x', 1000))",
    "select pg_logical_emit_message(true, 'x', 'x'::bytea)",
    "select pg_export_snapshot()",
    "select pg_current_xact_id()",
    "select txid_current()",
    "select pg_cancel_backend(pid) from pg_stat_activity where usename = user",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = user",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'page'",
    "set temp_file_limit to -1",
    "set log_min_messages to debug5",
    "alter role grafana set temp_file_limit to -1",
    "alter role grafana reset temp_file_limit",
    "alter role page set search_path to pg_catalog",
    "alter role page password 'x'",
    "set role page",
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
def pipeline(stack: Pipeline) -> Iterator[Harness]:
    pipeline = Harness(stack)
    yield pipeline
    pipeline.close()


@pytest.fixture(scope="module")
def reader(stack: Pipeline) -> Iterator[psycopg.Connection]:
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
    # The role's default is no protection, because a session may change it
    reader.execute("set default_transaction_read_only to off")
    with pytest.raises(
        (psycopg.errors.InsufficientPrivilege, psycopg.errors.WrongObjectType)
    ):
        reader.execute(statement.encode())


@pytest.mark.parametrize("work", LIMITS)
def test_no_role_gets_into_another_database(
    servers: Pipeline, stack: Pipeline, work: str
) -> None:
    home = Home(servers.home)
    superuser = role_url(servers.database_url, "postgres", home.password("superuser"))
    later = f"later_{uuid.uuid4().hex[:8]}"
    url = role_url(stack.database_url, work, Home(stack.home).password(work))
    psycopg.connect(url).close()
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(later)))
        try:
            for database in ("postgres", "template1", later):
                with pytest.raises(psycopg.OperationalError, match="rejects"):
                    psycopg.connect(url, dbname=database)
        finally:
            connection.execute(
                sql.SQL("drop database {}").format(sql.Identifier(later))
            )


def test_its_files_for_sorting_have_a_limit(reader: psycopg.Connection) -> None:
    with reader.transaction(force_rollback=True):
        reader.execute("set local statement_timeout to 0")
        reader.execute("set local work_mem to '64kB'")
        with pytest.raises(psycopg.Error, match='exceeds "temp_file_limit'):
            reader.execute(
                "select from (select repeat('x', 1000) || n as text"
                " from generate_series(1, 1000000) as n order by 1) as s offset 1e9"
            )


def watch(stack: Pipeline, seconds: float = 30) -> Watch:
    password = Home(stack.home).password(READER)
    settings = admit(stack.database_url, READER, password, LIMITS[READER])
    log = logging.getLogger("test")
    return Watch(
        stack.database_url, stack.schema_name, password, settings, log, seconds
    )


def test_a_transaction_that_lasts_is_ended_whatever_its_session_has_set(
    stack: Pipeline,
) -> None:
    with (
        psycopg.connect(stack.database_url, autocommit=True) as owner,
        psycopg.connect(stack.reader_url) as lasting,
        psycopg.connect(stack.reader_url, autocommit=True) as other,
    ):
        for name in LIMITS[READER].settings:
            if name.endswith("timeout"):
                lasting.execute(sql.SQL("set {} to 0").format(sql.Identifier(name)))
        lasting.commit()
        lasting.execute("select from firstclick.checkouts limit 0")
        assert watch(stack, 3600).end_lasting(owner) == 0
        # It may end sessions of other tests, too
        assert watch(stack, 0).end_lasting(owner) >= 1
        with pytest.raises(psycopg.errors.AdminShutdown):
            lasting.execute("select")
        other.execute("select")


@pytest.mark.parametrize(
    "change",
    [
        "alter role grafana password 'mine'",
        "alter role grafana set statement_timeout to 0",
        "alter role grafana set search_path to nowhere",
        "alter role grafana reset all",
        "alter role grafana in database firstclick set work_mem to '64kB'",
    ],
)
def test_what_it_changes_of_itself_is_undone(stack: Pipeline, change: str) -> None:
    watching = watch(stack)
    settings = watching.settings
    with psycopg.connect(stack.database_url, autocommit=True) as owner:
        assert watching.restore(owner) is False
        with psycopg.connect(stack.reader_url, autocommit=True) as reader:
            reader.execute("set default_transaction_read_only to off")
            reader.execute(change.encode())
        assert watching.restore(owner) is True
        assert watching.restore(owner) is False
        assert settings_of(owner, READER) == settings
    assert ("temp_file_limit=32MB", False) in settings
    psycopg.connect(stack.reader_url).close()


def test_the_page_reads_by_a_role_of_its_own(
    stack: Pipeline, pipeline: Harness
) -> None:
    def readers() -> set[str]:
        return {
            name
            for (name,) in pipeline.query(
                "select usename from pg_stat_activity"
                " where application_name = 'firstclick live'"
                # Leaves out pipelines of other schemas, which share the server
                " and strpos(usename, '_') = 0"
            )
        }

    eventually(lambda: readers() == {PAGE}, "the page has connected")
    url = role_url(stack.database_url, PAGE, Home(stack.home).password(PAGE))
    with psycopg.connect(url, autocommit=True) as page:
        (privileges,) = page.execute(
            "select has_table_privilege('firstclick.last_hour_revenue', 'select'),"
            " has_table_privilege('firstclick.raw_clicks', 'select')"
        ).fetchall()
        assert privileges == (True, False)


def test_where_the_page_can_have_no_role_it_reads_as_the_others(
    servers: Pipeline,
) -> None:
    name = f"humble_{uuid.uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with psycopg.connect(servers.database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("create role {} login password 'x'").format(role))
        try:
            url = role_url(servers.database_url, name, "x")
            assert admit_page(url, name, lambda work: "y") == role_url(
                url, f"{READER}_{name}", "y"
            )
            assert not oversee(url, "grafana")
        finally:
            owner.execute(sql.SQL("drop role {}").format(role))


def test_a_server_where_nobody_has_run_harden_sql_is_told_from_another(
    servers: Pipeline, stack: Pipeline
) -> None:
    home = Home(servers.home)
    superuser = role_url(servers.database_url, "postgres", home.password("superuser"))
    assert not may_do_harm(stack.database_url, READER)
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(
            "grant execute on function pg_advisory_lock(bigint) to public"
        )
        try:
            assert may_do_harm(stack.database_url, READER)
        finally:
            connection.execute(HARDEN.read_bytes())
    assert not may_do_harm(stack.database_url, READER)


def test_its_sessions_are_read_only_and_have_limits(stack: Pipeline) -> None:
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
    stack: Pipeline, pipeline: Harness
) -> None:
    with (
        psycopg.connect(stack.reader_url) as listener,
        psycopg.connect(stack.reader_url, autocommit=True) as sender,
    ):
        listener.execute("listen anything")
        listener.commit()
        # PostgreSQL keeps the listener's notifications until its transaction ends
        listener.execute("select from firstclick.checkouts limit 0")
        sender.execute("set statement_timeout to 0")
        with pytest.raises(psycopg.errors.Error, match="NOTIFY queue"):
            while True:
                sender.execute(
                    "select count(pg_notify('anything', n || repeat('x', 7000)))"
                    " from generate_series(1, 100) as n"
                )
        sent = generate(stack.bootstrap_servers, rate=100, duration=0.5, anomaly_rate=0)
        assert sent.purchases > 0
        pipeline.settle()
        # The queue is still full: nobody ended the listener's session meanwhile
        with pytest.raises(psycopg.errors.Error, match="NOTIFY queue"):
            sender.execute("select pg_notify('anything', repeat('x', 7000))")


def test_an_edited_model_can_be_read_as_before(
    stack: Pipeline, reader: psycopg.Connection
) -> None:
    with psycopg.connect(stack.database_url, autocommit=True) as owner:
        owner.execute(
            "create table firstclick.checkouts__new (like firstclick.checkouts)"
        )
        with owner.transaction(force_rollback=True):
            owner.execute(
                "select firstclick_maintenance.swap("
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
    servers: Pipeline,
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
            # An existing role belongs to its administrator, so admit doesn't change it
            admit(url, name, "other", LIMITS[READER])
            psycopg.connect(url).close()
        finally:
            owner.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
