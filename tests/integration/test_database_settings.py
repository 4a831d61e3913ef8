"""A stack works on a database whose settings, and its owner's, are hostile."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from firstclick.core.database import connect, session_environment
from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline, find
from firstclick.core.project import PROJECT
from firstclick.operate import stack as stacks
from worker_world import eventually

COMMAND = [sys.executable, "-c", "from firstclick.cli import main; main()"]

OF_THE_DATABASE = {
    "client_encoding": "latin1",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "TimeZone": "America/Los_Angeles",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "search_path": "nonsense",
    "row_security": "off",
    "restrict_nonsystem_relation_kind": "view",
    "exit_on_error": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "statement_timeout": "20ms",
    "lock_timeout": "1ms",
    "transaction_timeout": "50ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "100ms",
}

OF_THE_ROLE = {
    "client_encoding": "sql_ascii",
    "DateStyle": "SQL, DMY",
    "default_transaction_isolation": "repeatable read",
    "statement_timeout": "10ms",
}
"""Settings of the role, which override those of the database."""

NAME = "as_bad_as_can_be"


@dataclass(frozen=True)
class Site:
    """A home with its own database and topics."""

    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


def superuser(servers: Pipeline, database: str) -> "psycopg.Connection[tuple[object]]":
    return psycopg.connect(
        servers.database_url,
        user="postgres",
        password=Home(servers.home).password("superuser"),
        dbname=database,
        autocommit=True,
    )


@pytest.fixture(scope="module")
def site(servers: Pipeline, make_home: Callable[[], Path]) -> Iterator[Site]:
    """Run the stack during the module's tests."""
    owner = sql.Identifier(str(conninfo_to_dict(servers.database_url)["user"]))
    database = sql.Identifier(NAME)
    with superuser(servers, "postgres") as connection:
        connection.execute(
            sql.SQL("create database {} owner {}").format(database, owner)
        )
        for name, value in OF_THE_DATABASE.items():
            connection.execute(
                sql.SQL("alter database {} set {} to {}").format(
                    database, sql.Identifier(name), value
                )
            )
        for name, value in OF_THE_ROLE.items():
            connection.execute(
                sql.SQL("alter role {} in database {} set {} to {}").format(
                    owner, database, sql.Identifier(name), value
                )
            )
    home = make_home()
    url = servers.database_url.replace("/firstclick?", f"/{NAME}?")
    yield Site(
        home,
        {
            "FIRSTCLICK_HOME": str(home),
            "DATABASE_URL": url,
            "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
            "FIRSTCLICK_SCHEMA": NAME,
            "FIRSTCLICK_TOPIC_PREFIX": f"{NAME}.",
        },
    )
    stacks.down(home)
    with superuser(servers, "postgres") as connection:
        connection.execute(sql.SQL("drop database {} (force)").format(database))


def test_a_session_of_ours_has_the_settings_that_the_code_depends_on(
    site: Site,
) -> None:
    with connect(site.environment["DATABASE_URL"]) as connection:
        changed = connection.execute(
            "select name, setting, boot_val from pg_settings"
            " where source in ('database', 'database user', 'user')"
        ).fetchall()
        assert changed == []
        row = connection.execute(
            "select '{null}'::text[], date '2026-11-23'"
        ).fetchone()
        assert row is not None
        assert row[0] == [None]
        assert str(row[1]) == "2026-11-23"


def test_options_of_the_url_are_kept(site: Site) -> None:
    url = f"{site.environment['DATABASE_URL']}&options=-c%20work_mem%3D17MB"
    with connect(url) as connection:
        shown = connection.execute("select current_setting('work_mem')").fetchone()
        assert shown == ("17MB",)
        kept = connection.execute("select current_setting('array_nulls')").fetchone()
        assert kept == ("on",)


@pytest.fixture(params=["another", "the default"])
def search_path(
    request: pytest.FixtureRequest, site: Site, servers: Pipeline
) -> Iterator[None]:
    """Let the database have another search_path than PostgreSQL's default, or that."""
    with superuser(servers, "postgres") as connection:
        database = sql.Identifier(NAME)
        if request.param == "the default":
            connection.execute(
                sql.SQL("alter database {} reset search_path").format(database)
            )
        yield
        connection.execute(
            sql.SQL("alter database {} set search_path to {}").format(
                database, OF_THE_DATABASE["search_path"]
            )
        )


@pytest.mark.parametrize(
    "refusal",
    [
        "unsupported startup parameter: options",
        "unsupported startup parameter in options: array_nulls",
        'unrecognized configuration parameter "transaction_timeout"',
        None,
    ],
)
@pytest.mark.usefixtures("search_path")
def test_a_pooler_without_options_makes_no_difference(
    site: Site, refusal: str | None
) -> None:
    url = site.environment["DATABASE_URL"]
    with pooler(int(conninfo_to_dict(url)["port"] or 0), refusal) as port:
        through = make_conninfo(url, port=port)
        with connect(through, autocommit=True) as connection:
            changed = connection.execute(
                "select name from pg_settings"
                " where source in ('database', 'database user', 'user')"
            ).fetchall()
            assert changed == []
        with connect(through) as connection:
            assert not connection.autocommit
            assert connection.info.transaction_status == TransactionStatus.IDLE


def test_everything_works_whatever_the_settings_are(site: Site) -> None:
    site.run("up", "--detach")
    site.run("generate", "--rate", "100", "--duration", "3")

    def applied() -> bool:
        found = json.loads(site.run("status", "--json").stdout)
        return bool(
            found["partitions"]
            and all(partition["lag"] == 0 for partition in found["partitions"])
            and all(topic["accepted"] for topic in found["topics"])
            and found["unpublished_checkouts"] == 0
        )

    eventually(applied, "everything that was sent is in the tables, and published")
    assert "healthy" in site.run("status").stdout
    verified = json.loads(site.run("verify", "--json").stdout)
    assert verified["equal"]
    site.run("expire", "--dry-run")
    site.run("expire")
    with urllib.request.urlopen(f"{_page(site)}/metrics", timeout=30) as answer:
        metrics = answer.read().decode()
    assert "firstclick_connector_messages_total" in metrics
    assert 'topic="clicks"' in metrics
    file = site.home.parent / f"{site.home.name}.backup"
    site.run("backup", str(file))
    site.run("psql", "-c", "select count(*) from checkouts")
    file.unlink()


def test_dbt_works_with_what_env_prints(site: Site) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "build", "--exclude"),
            *("resource_type:test", "resource_type:unit_test"),
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            **site.environment,
            **session_environment(site.environment["DATABASE_URL"]),
            "DBT_TARGET_PATH": str(site.home / "target"),
            "DBT_LOG_PATH": str(site.home / "logs"),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    site.run("up", "--detach")
    printed = site.run("env").stdout
    assert "PGOPTIONS=" in printed
    assert "default_transaction_read_only=off" in printed
    reader = site.run("env", "--role", "grafana").stdout
    assert "default_transaction_read_only" not in reader


@contextmanager
def pooler(port: int, refusal: str | None) -> Iterator[int]:
    """Run a proxy that acts like PgBouncer: it refuses or drops libpq's options."""

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while received := source.recv(65536):
                sink.sendall(received)
            sink.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            (length,) = struct.unpack("!i", client.recv(4, socket.MSG_WAITALL))
            packet = client.recv(length - 4, socket.MSG_WAITALL)
            words = packet[4:].split(b"\0")
            if b"options" in words and refusal is not None:
                said = b"SFATAL\0C08P01\0M" + refusal.encode() + b"\0\0"
                client.sendall(b"E" + struct.pack("!i", 4 + len(said)) + said)
                return
            if b"options" in words:
                at = words.index(b"options")
                del words[at : at + 2]
            packet = packet[:4] + b"\0".join(words)
            server.sendall(struct.pack("!i", 4 + len(packet)) + packet)
            back = threading.Thread(target=copy, args=(server, client))
            back.start()
            copy(client, server)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],)).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _page(site: Site) -> str:
    state = find(site.home)
    assert state is not None and state.live_url is not None
    return state.live_url.rstrip("/")
