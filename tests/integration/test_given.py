"""`up` refuses a PostgreSQL server of yours that can't hold the pipeline."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from firstclick.core.database import postgres_environment
from firstclick.core.errors import FirstClickError
from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.core.processes import Account, Running
from firstclick.core.project import PROJECT
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.operate.backup import restore
from firstclick.servers.given import check_given
from firstclick.servers.postgres import Postgres
from forked_dbt import run_dbt
from worker_world import eventually


@contextmanager
def superuser(servers: Pipeline) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with psycopg.connect(
        servers.database_url,
        user="postgres",
        password=Home(servers.home).password("superuser"),
        dbname="postgres",
        autocommit=True,
    ) as connection:
        yield connection


@pytest.fixture
def encoded(
    request: pytest.FixtureRequest, servers: Pipeline
) -> Iterator[tuple[str, str]]:
    """Make a database in another encoding; return the encoding and the URL."""
    name = f"in_{request.param.lower()}"
    with superuser(servers) as connection:
        connection.execute(
            sql.SQL(
                "create database {} owner firstclick encoding {} template template0"
                " locale_provider libc locale 'C'"
            ).format(sql.Identifier(name), request.param)
        )
    yield request.param, servers.database_url.replace("/firstclick?", f"/{name}?")
    with superuser(servers) as connection:
        connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


every_other = pytest.mark.parametrize(
    "encoded", ["SQL_ASCII", "LATIN1", "WIN1252", "EUC_JP"], indirect=True
)


@every_other
def test_a_database_in_another_encoding_is_refused(
    encoded: tuple[str, str],
    servers: Pipeline,
    make_home: Callable[[], Path],
    tmp_path: Path,
) -> None:
    encoding, url = encoded
    settings = Settings.load().model_copy(
        update={
            "home": make_home(),
            "database_url": url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
        }
    )
    told = f"is encoded in {encoding}, expected UTF8"
    with pytest.raises(FirstClickError, match=told) as raised:
        stacks.start(settings, detach=False)
    assert "\n" not in str(raised.value)
    file = tmp_path / "backup"
    file.touch()
    with pytest.raises(FirstClickError):
        restore(settings, file)
    with psycopg.connect(url) as connection:
        made = connection.execute(
            "select from pg_namespace where nspname ~ '^firstclick'"
        ).fetchall()
        assert made == []


@every_other
def test_dbt_refuses_a_database_in_another_encoding(
    encoded: tuple[str, str], tmp_path: Path
) -> None:
    encoding, url = encoded
    done = run_dbt(
        "run",
        directory=PROJECT,
        environment={
            **os.environ,
            **postgres_environment(url),
            "DBT_TARGET_PATH": str(tmp_path / "target"),
            "DBT_LOG_PATH": str(tmp_path / "logs"),
        },
    )
    assert done.returncode != 0
    assert f"is encoded in {encoding}, expected UTF8" in done.stdout


def test_a_role_that_may_make_nothing_is_refused(servers: Pipeline) -> None:
    with superuser(servers) as connection:
        connection.execute("create role stranger login password 'stranger'")
    url = make_conninfo(servers.database_url, user="stranger", password="stranger")
    try:
        with pytest.raises(FirstClickError, match="may not create schemas") as raised:
            check_given(url, "strangers")
        assert "grant create on database firstclick to stranger" in str(raised.value)
        with psycopg.connect(servers.database_url) as connection:
            connection.execute("create schema strangers")
            connection.execute("create schema strangers_maintenance")
        with pytest.raises(FirstClickError, match="may not create tables in"):
            check_given(url, "strangers")
        with psycopg.connect(servers.database_url) as connection:
            connection.execute("grant all on schema strangers to stranger")
            connection.execute("grant all on schema strangers_maintenance to stranger")
        assert check_given(url, "strangers").endswith("as given")
    finally:
        with psycopg.connect(servers.database_url) as connection:
            connection.execute("drop schema if exists strangers, strangers_maintenance")
        with superuser(servers) as connection:
            connection.execute("drop role stranger")


def test_a_standby_is_refused(make_home: Callable[[], Path]) -> None:
    home = Home.open(make_home())
    postgres = Postgres(home, home.port("postgres", None))
    command = postgres.prepare(threading.Event())
    signal = postgres.data / "standby.signal"
    signal.touch()
    if os.geteuid() == 0:
        account = Account.named("nobody")
        os.chown(signal, account.uid, account.gid)
    url = make_conninfo(
        postgres.database_url,
        user="postgres",
        password=home.password("superuser"),
        dbname="postgres",
    )
    # A standby needs at least its primary's values, those it was initialised with
    needed = ("-c", "wal_level=replica", "-c", "max_wal_senders=10")
    command = replace(command, arguments=[*command.arguments, *needed])
    running = Running.start("postgres", command, home.logs)
    try:

        def told() -> str:
            with pytest.raises(FirstClickError) as raised:
                check_given(url, "firstclick")
            return str(raised.value)

        eventually(lambda: "is a standby, expected one" in told(), "it is refused")
    finally:
        running.stop()
