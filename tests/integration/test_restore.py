"""A restore replaces the pipeline completely, or changes nothing."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from firstclick.core.database import postgres_environment
from firstclick.core.errors import FirstClickError, HomeError, ServerError
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.operate.archive import Archive
from firstclick.operate.backup import backup, restore
from firstclick.operate.belongings import strangers
from firstclick.servers.postgres import programs_directory
from firstclick_generator import generate
from harness import Harness
from worker_world import eventually

pytestmark = pytest.mark.timeout(300)

COMMAND = [sys.executable, "-c", "from firstclick.cli import main; main()"]


@dataclass(frozen=True)
class Shop:
    """A database and a home, on the module's servers."""

    settings: Settings

    @property
    def url(self) -> str:
        assert self.settings.database_url is not None
        return self.settings.database_url

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.SQL(statement), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def state(self) -> list[tuple[Any, ...]]:
        """Return the relations and functions with their oids, and the users' rows.

        An oid differs if an object was dropped and created again.
        """
        return [
            *self.query(
                "select oid, relname, relacl::text from pg_class"
                " where relnamespace::regnamespace::text ~ '^firstclick' order by 1"
            ),
            *self.query(
                "select oid, proname, prosrc from pg_proc"
                " where pronamespace::regnamespace::text ~ '^firstclick' order by 1"
            ),
            *self.query("select * from firstclick.users order by user_id"),
        ]

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        before = self.state()
        yield
        assert self.state() == before


Make = Callable[[str], Shop]


@pytest.fixture(scope="module")
def shops(make_home: Callable[[], Path]) -> Make:
    """Return a function that makes databases.

    This module has its own servers, because roles belong to a whole server.
    """
    own = Settings.load().model_copy(update={"home": make_home()})
    stack = stacks.start(own, detach=False, servers_only=True).pipeline
    administrator = {
        **psycopg.conninfo.conninfo_to_dict(stack.database_url),
        "user": "postgres",
        "password": (own.home / "superuser.password").read_text(),
    }

    def make(name: str) -> Shop:
        with psycopg.connect(**administrator, autocommit=True) as connection:  # type: ignore[arg-type]
            connection.execute(
                sql.SQL("create database {} owner firstclick").format(
                    sql.Identifier(name)
                )
            )
        url = stack.database_url.replace("/firstclick?", f"/{quote(name, safe='')}?")
        return Shop(
            own.model_copy(
                update={
                    "home": make_home(),
                    "database_url": url,
                    "kafka_bootstrap_servers": stack.bootstrap_servers,
                }
            )
        )

    return make


@pytest.fixture(scope="module")
def source(shops: Make) -> Iterator[tuple[Shop, Pipeline]]:
    """Run a shop with events."""
    shop = shops("source")
    with stacks.up(shop.settings) as started:
        pipeline = Harness(started.pipeline)
        generate(
            started.pipeline.bootstrap_servers, rate=1, duration=0, backfill_hours=0.05
        )
        pipeline.settle()
        pipeline.close()
        yield shop, started.pipeline


@pytest.fixture(scope="module")
def file(
    source: tuple[Shop, Pipeline], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Back up the source."""
    file = tmp_path_factory.mktemp("backup") / "shop.backup"
    backup(source[0].settings, file)
    return file


@pytest.fixture(scope="module")
def empty(shops: Make, file: Path) -> Shop:
    """Make a shop without events, but with a customer inserted by SQL."""
    shop = shops("empty")
    restore(shop.settings, file)
    for table in ("raw_clicks", "raw_purchases"):
        shop.query(f"delete from firstclick.{table}")
    shop.query(
        "insert into firstclick.users"
        ' select (jsonb_populate_record(users, \'{"user_id": "by hand"}\')).*'
        " from firstclick.users limit 1"
    )
    return shop


def dump(shop: Shop, file: Path, *arguments: str) -> None:
    program = programs_directory(None, "pg_dump") / "pg_dump"
    subprocess.run(
        [program, *arguments, "--file", file],
        env={**os.environ, **postgres_environment(shop.url)},
        check=True,
    )


def test_a_file_that_is_cut_off_anywhere_changes_nothing(
    empty: Shop, file: Path, tmp_path: Path
) -> None:
    whole = file.read_bytes()
    cut = tmp_path / "cut.backup"
    with empty.unchanged():
        for length in (0, 3, 5, 700, *range(10_000, len(whole), 40_000)):
            cut.write_bytes(whole[:length])
            with pytest.raises(HomeError, match="no complete backup"):
                restore(empty.settings, cut)
        cut.write_bytes(whole[:-1])
        with pytest.raises(HomeError, match="no complete backup"):
            restore(empty.settings, cut)


def test_a_file_that_is_damaged_within_changes_nothing(
    empty: Shop, file: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.backup"
    content = file.read_bytes()
    with empty.unchanged():
        for tenth in range(10):
            changed = bytearray(content)
            changed[len(content) * tenth // 10] ^= 1
            damaged.write_bytes(changed)
            with pytest.raises(HomeError, match="no complete backup"):
                restore(empty.settings, damaged)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format=plain",), "no complete backup: input file appears to be a text"),
        (("--format=tar",), "no complete backup: it has another format"),
        (("--format=custom",), "holds others.* besides firstclick"),
        (("--format=custom", "--schema=firstclick"), "holds less besides firstclick"),
        (("--format=custom", "--schema-only", "--table=users"), "has no schema"),
    ],
)
def test_another_file_of_pg_dump_changes_nothing(
    source: tuple[Shop, Pipeline],
    empty: Shop,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    shop, _ = source
    other = tmp_path / "other.backup"
    shop.query("create schema others create table others.mine (one integer)")
    try:
        dump(shop, other, *arguments)
    finally:
        shop.query("drop schema others cascade")
    with empty.unchanged(), pytest.raises(FirstClickError, match=said):
        restore(empty.settings, other)


def test_what_is_no_file_is_one_clear_error(empty: Shop, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with empty.unchanged():
        with pytest.raises(HomeError, match="is no file, expected one"):
            restore(empty.settings, pipe)
        with pytest.raises(HomeError, match="is no file, expected one"):
            restore(empty.settings, tmp_path)
        with pytest.raises(HomeError, match="is not there"):
            restore(empty.settings, tmp_path / "missing")


MADE_BY_A_USER = {
    "table firstclick.mine": "create table firstclick.mine (one integer)",
    "view firstclick.seen": "create view firstclick.seen as select 1 as one",
    "sequence firstclick.counted": "create sequence firstclick.counted",
    "type firstclick.mood": "create type firstclick.mood as enum ('one')",
    "table firstclick_maintenance.mine": (
        "create table firstclick_maintenance.mine (one integer)"
    ),
    "function firstclick_maintenance.mine()": (
        "create function firstclick_maintenance.mine() returns integer return 1"
    ),
    "procedure firstclick.work()": (
        "create procedure firstclick.work() language sql begin atomic end"
    ),
    "view public.seen": (
        "create view public.seen as select * from firstclick.last_hour_revenue"
    ),
    "materialized view public.kept": (
        "create materialized view public.kept as select * from firstclick.checkouts"
    ),
    "table constraint own_user_id_fkey on public.own": (
        "create table public.own (user_id text references firstclick.users (user_id))"
    ),
    "policy mine on firstclick.users": (
        "create policy mine on firstclick.users using (true)"
    ),
    "rule mine on firstclick.users": (
        "create rule mine as on insert to firstclick.users do also nothing"
    ),
    "publication relation firstclick.checkouts in publication mine": (
        "create publication mine for table firstclick.checkouts"
    ),
    "function public.note()": (
        "create function public.note() returns trigger language plpgsql as"
        " 'declare it firstclick.users; begin return null; end'"
    ),
    "trigger mine on firstclick.users": (
        "create trigger mine after insert on firstclick.users"
        " execute function public.note()"
    ),
}


def test_what_a_user_made_is_named_and_stays(shops: Make, file: Path) -> None:
    shop = shops("made")
    restore(shop.settings, file)
    for table in ("raw_clicks", "raw_purchases"):
        shop.query(f"delete from firstclick.{table}")
    with psycopg.connect(shop.url, autocommit=True) as connection:
        assert strangers(connection, ("firstclick", "firstclick_maintenance")) == []
        for statement in MADE_BY_A_USER.values():
            connection.execute(sql.SQL(statement))
        found = strangers(connection, ("firstclick", "firstclick_maintenance"))
    # A restore wouldn't drop this function: PostgreSQL knows no dependency of its body
    expected = {f"the {name}" for name in MADE_BY_A_USER} - {
        "the function public.note()"
    }
    assert set(found) == expected
    with shop.unchanged(), pytest.raises(HomeError, match=r"the .* and \d+ more would"):
        restore(shop.settings, file)


def test_a_statement_that_fails_late_takes_all_back(
    source: tuple[Shop, Pipeline], empty: Shop, tmp_path: Path
) -> None:
    shop, _ = source
    late = tmp_path / "late.backup"
    shop.query(
        "create function public.here_alone() returns boolean immutable return true;"
        "create index mine on firstclick.checkouts (purchase_id)"
        " where public.here_alone()"
    )
    try:
        backup(shop.settings, late)
    finally:
        shop.query("drop function public.here_alone() cascade")
    with (
        empty.unchanged(),
        pytest.raises(ServerError, match=r"here_alone.* does not exist.*nothing was"),
    ):
        restore(empty.settings, late)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_end_at_the_last_moment_takes_all_back(
    empty: Shop, file: Path, number: signal.Signals
) -> None:
    environment = {**os.environ, **empty.settings.environment()}
    with (
        empty.unchanged(),
        psycopg.connect(empty.url) as connection,
    ):
        # Every writer to the pipeline, and the restore, waits for this lock
        connection.execute("select firstclick_maintenance.lock_writers()")
        with subprocess.Popen(
            [*COMMAND, "restore", str(file)],
            env=environment,
            stderr=subprocess.PIPE,
        ) as process:
            eventually(
                lambda: empty.query(
                    "select 1 from pg_stat_activity where wait_event = 'advisory'"
                    " and datname = current_database()"
                ),
                "all is in its place, and not committed",
            )
            process.send_signal(number)
        assert process.returncode != 0
        eventually(
            lambda: (
                not empty.query(
                    "select 1 from pg_stat_activity where wait_event = 'advisory'"
                    " and datname = current_database()"
                )
            ),
            "its session has ended",
        )
        connection.rollback()
    stacks.down(empty.settings.home)


def test_a_restore_keeps_a_customer_that_the_backup_lacks(
    shops: Make, file: Path
) -> None:
    shop = shops("keeping")
    restore(shop.settings, file)
    customers = shop.query("select count(*) from firstclick.users")
    for table in ("raw_clicks", "raw_purchases"):
        shop.query(f"delete from firstclick.{table}")
    shop.query(
        "update firstclick.users set user_id = 'by hand' where user_id = %s",
        shop.query("select min(user_id) from firstclick.users")[0][0],
    )
    assert "1 customers and products kept" in restore(shop.settings, file)
    [(count,)] = shop.query("select count(*) from firstclick.users")
    assert [(count - 1,)] == customers
    assert shop.query("select 1 from firstclick.users where user_id = 'by hand'")


@pytest.mark.parametrize("name", ["other", "my.shop-db", "Zürich's shop"])
def test_a_database_of_another_name_is_kept_up_to_date(
    shops: Make, source: tuple[Shop, Pipeline], file: Path, name: str
) -> None:
    shop = shops(name)
    restore(shop.settings, file)
    checkouts = "select * from firstclick.checkouts order by purchase_id"
    assert shop.query(checkouts) == source[0].query(checkouts) != []
    assert shop.query(
        "select distinct split_part(relation, '\".\"', 1)"
        " from firstclick_maintenance.models"
    ) == [(f'"{name}',)]
    # Triggers follow a change by functions that contain the names of relations
    shop.query("update firstclick.products set product_name = product_name || '!'")
    named = shop.query("select bool_and(product_name ~ '!$') from firstclick.checkouts")
    assert named == [(True,)]
    [(clicks,)] = shop.query("select count(*) from firstclick.stg_clicks")
    shop.query("delete from firstclick.raw_clicks")
    assert clicks and not shop.query("select 1 from firstclick.stg_clicks limit 1")


def test_privileges_of_a_role_that_is_missing_are_left_out_and_said(
    shops: Make, source: tuple[Shop, Pipeline], tmp_path: Path
) -> None:
    shop, _ = source
    file = tmp_path / "granted.backup"
    shop.query("create role analyst")
    try:
        shop.query("grant select on firstclick.checkouts to analyst")
        backup(shop.settings, file)
    finally:
        shop.query("revoke all on firstclick.checkouts from analyst; drop role analyst")
    target = shops("granted")
    assert "without the privileges of analyst" in restore(target.settings, file)
    privileges = (
        "select relname, relacl::text from pg_class"
        " where relnamespace = 'firstclick'::regnamespace and relacl is not null"
        " order by relname"
    )
    assert target.query(privileges) == shop.query(privileges)


def test_an_older_versions_file_which_has_no_seal_is_restored(
    shops: Make, file: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older.backup"
    older.write_bytes(file.read_bytes().rpartition(b"\nfirstclick backup ")[0])
    shop = shops("older")
    restore(shop.settings, older)
    assert shop.query("select 1 from firstclick.checkouts limit 1")


def test_another_schema_is_one_clear_error(empty: Shop, file: Path) -> None:
    settings = empty.settings.model_copy(update={"schema_name": "another"})
    with empty.unchanged(), pytest.raises(FirstClickError, match="FIRSTCLICK_SCHEMA"):
        restore(settings, file)


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_that_may_not_be_read_is_one_clear_error(inside: bool) -> None:
    directory = Path(tempfile.mkdtemp())
    private = directory / "shop.backup"
    private.touch(mode=0)
    if inside:
        directory.chmod(0)
    user = os.geteuid()
    # As another user, because root may read everything
    os.seteuid(user or 65534)
    try:
        with pytest.raises(HomeError, match="can't be read: Permission denied"):
            Archive.open(private, None)
    finally:
        os.seteuid(user)
        directory.chmod(0o700)
        shutil.rmtree(directory)


def test_a_newer_versions_catalogue_changes_nothing(
    source: tuple[Shop, Pipeline], empty: Shop, tmp_path: Path
) -> None:
    shop, _ = source
    newer = tmp_path / "newer.backup"
    shop.query("alter table firstclick_maintenance.models add column later text")
    try:
        backup(shop.settings, newer)
    finally:
        shop.query("alter table firstclick_maintenance.models drop column later")
    with empty.unchanged(), pytest.raises(HomeError, match=r"newer version.* later"):
        restore(empty.settings, newer)


def test_a_backup_replaces_a_file_only_when_it_is_complete(
    source: tuple[Shop, Pipeline], file: Path, tmp_path: Path
) -> None:
    shop, _ = source
    earlier = tmp_path / "shop.backup"
    shutil.copy(file, earlier)
    done = subprocess.run(
        [*COMMAND, "backup", str(earlier)],
        env={**os.environ, "FIRSTCLICK_HOME": str(shop.settings.home)},
        # A limit on file size (bytes) makes writing fail, as a full disk does
        preexec_fn=lambda: __import__("resource").setrlimit(1, (20_000, 20_000)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert earlier.read_bytes() == file.read_bytes()
    assert list(tmp_path.iterdir()) == [earlier]


def test_a_backup_is_written_through_no_link(
    source: tuple[Shop, Pipeline], tmp_path: Path
) -> None:
    shop, _ = source
    private, link = tmp_path / "private", tmp_path / "shop.backup"
    private.write_text("of somebody")
    link.symlink_to(private)
    backup(shop.settings, link)
    assert private.read_text() == "of somebody"
    assert not link.is_symlink()


@pytest.mark.parametrize("name", ["", "missing/shop.backup", "private/shop.backup"])
def test_a_backup_that_can_not_be_written_is_one_clear_error(
    source: tuple[Shop, Pipeline], tmp_path: Path, name: str
) -> None:
    shop, _ = source
    (tmp_path / "private").touch()
    with pytest.raises(HomeError, match=r"can't be written: .*name a file in"):
        backup(shop.settings, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["private"]
