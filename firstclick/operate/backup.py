"""Back up a pipeline into a file, and restore one from it, in pg_dump's format.

A backup holds the messages, everything that was derived from them, and the Kafka
offsets up to which they were read, all as of one moment. It contains personal data, so
the file is readable by its owner only.
"""

import errno
import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from firstclick.core.database import connect, session_environment
from firstclick.core.environment import child_environment
from firstclick.core.errors import FirstClickError, HomeError, ServerError
from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline, find, running
from firstclick.core.settings import Settings
from firstclick.core.waiting import one_line
from firstclick.operate import stack as stacks
from firstclick.operate.archive import Archive, first_error, seal
from firstclick.operate.belongings import SEEDS, strangers
from firstclick.servers.postgres import client_program
from firstclick.servers.roles import LIMITS, admit, role_of

CATALOGUE = {
    *("relation", "kind", "rank", "sql", "parents", "config", "functions"),
    *("rows_hash", "triggers_hash"),
}
"""The columns of the catalogue table, in which the deployment keeps each model's SQL,
parents and hashes.
"""

# Don't wait forever for a lock that a reader holds. And if this process dies, the
# server notices within a second, rolls back and releases its locks.
_PATIENCE = """
set local lock_timeout = '30s';
set local client_connection_check_interval = '1s'
"""


def backup(settings: Settings, file: Path) -> None:
    """Write the running pipeline into a file, while events keep flowing.

    An existing file of that name is replaced only when the new one is complete and on
    disk. Raises HomeError if the file can't be written, and ServerError if the pipeline
    can't be read.
    """
    stack = running(settings)
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with _replacing(file) as output:
            _dump(stack, settings.postgres_programs, output)
            seal(output)
    except OSError as error:
        raise HomeError(
            f"{file} can't be written: {error.strerror}; name a file in a directory "
            "of yours with room in it"
        ) from error


def restore(settings: Settings, file: Path) -> str:
    """Fill a home that has no events yet from a backup; return a message for the user.

    The file is checked to its end first. Then one transaction replaces the home's data,
    so if anything fails, the home stays as it was. Customers and products that the home
    has and the backup lacks are kept.

    If Kafka is not the cluster that the backup was made with, the restored messages
    stay under partition numbers below zero, new messages are read from the beginning of
    each topic, and all checkouts are published again. Raises FirstClickError.
    """
    archive = Archive.open(file, settings.postgres_programs)
    schemas = _schemas(settings.schema_name)
    if not archive.holds("TABLE", settings.schema_name, "kafka_offsets"):
        raise FirstClickError(
            f"{file} has no schema {settings.schema_name}: set FIRSTCLICK_SCHEMA to "
            "the one that it was made from"
        )
    if archive.schemas() != set(schemas):
        surplus = ", ".join(sorted(archive.schemas() - set(schemas))) or "less"
        raise HomeError(
            f"{file} holds {surplus} besides {settings.schema_name}, expected "
            "only a pipeline, as backup writes it: use pg_restore for another archive"
        )
    if find(settings.home) is not None:
        raise HomeError(
            f"the stack in {settings.home} runs, expected it stopped: run "
            "`firstclick down` first"
        )
    with stacks.up(settings, servers_only=True) as started:
        stack, home = started.pipeline, Home(settings.home)
        for work, limits in LIMITS.items():
            role, password = role_of(work, stack.schema_name), home.password(work)
            admit(stack.database_url, role, password, limits)
        try:
            with connect(stack.database_url) as connection:
                return _replace(connection, stack, archive)
        except psycopg.Error as error:
            raise ServerError(
                f"PostgreSQL does not take {file}: {one_line(error)}; nothing was "
                "changed: see to that and restore again"
            ) from error


@contextmanager
def _replacing(file: Path) -> Iterator[BufferedRandom]:
    """Yield a new file that replaces ``file`` when the block ends without an error.

    The directory is opened once and the entry created with O_EXCL and O_NOFOLLOW:
    another user who may write to the directory can't plant a symbolic link that makes
    this process write somewhere else.
    """
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        partial = f"{file.name}.{secrets.token_hex(8)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        handle = os.open(partial, flags, 0o600, dir_fd=directory)
        try:
            with os.fdopen(handle, "w+b") as output:
                yield output
                output.flush()
                os.fsync(output.fileno())
            os.replace(partial, file.name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(partial, dir_fd=directory)
            raise
        os.fsync(directory)
    finally:
        os.close(directory)


def _dump(stack: Pipeline, programs: Path | None, output: BufferedRandom) -> None:
    url = stack.database_url
    chosen = [f"--schema={name}" for name in _schemas(stack.schema_name)]
    # Pass the open file by its descriptor. On standard output pg_dump can't seek, so it
    # couldn't record at the beginning where each table's rows are.
    file = f"/dev/fd/{output.fileno()}"
    done = subprocess.run(
        [
            client_program("pg_dump", programs, url),
            *("--format=custom", "--no-owner", f"--file={file}", *chosen),
        ],
        env=child_environment(session_environment(url)),
        pass_fds=(output.fileno(),),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return
    reason = first_error(done.stderr) or f"status {done.returncode}"
    full = os.strerror(errno.ENOSPC)
    if full in reason:
        raise OSError(errno.ENOSPC, full)
    raise ServerError(f"pg_dump failed: {reason}; see to that and try again")


def _schemas(name: str) -> tuple[str, str]:
    return name, f"{name}_maintenance"


def _statement(text: LiteralString, stack: Pipeline) -> sql.Composed:
    return sql.SQL(text).format(
        schema=sql.Identifier(stack.schema_name),
        maintenance=sql.Identifier(f"{stack.schema_name}_maintenance"),
    )


def _replace(connection: psycopg.Connection, stack: Pipeline, archive: Archive) -> str:
    """Replace the pipeline's schemas by the backup, in the open transaction."""
    server = connection.info.server_version // 10000
    if archive.server_version > server:
        raise ServerError(
            f"{archive.file} was made from PostgreSQL {archive.server_version}, "
            f"expected at most {server}, which is to hold it: give a newer server by "
            "DATABASE_URL"
        )
    connection.execute(_PATIENCE)
    _look_for_events(connection, stack)
    _look_for_strangers(connection, stack)
    set_aside = [seed for seed in SEEDS if _set_aside(connection, stack, seed)]
    connection.execute(
        _statement("drop schema if exists {schema}, {maintenance} cascade", stack)
    )
    missing = archive.run(connection)
    # The script changes settings such as search_path for its session
    connection.execute("reset all")
    connection.execute(_PATIENCE)
    _look_at_catalogue(connection, stack, archive.file)
    _name_database(connection, stack)
    kept = sum(_bring_back(connection, stack, seed) for seed in set_aside)
    connection.execute("analyze")
    said = "Restored"
    if kept:
        said += f", {kept} customers and products kept that were here"
    if missing:
        said += f", without the privileges of {', '.join(missing)}, no role here"
    return said


def _look_for_events(connection: psycopg.Connection, stack: Pipeline) -> None:
    for topic in ("clicks", "purchases"):
        table = sql.Identifier(stack.schema_name, f"raw_{topic}")
        if not _is_there(connection, table):
            continue
        connection.execute(sql.SQL("lock table {}").format(table))
        events = connection.execute(
            sql.SQL("select from {} limit 1").format(table)
        ).fetchone()
        if events is not None:
            raise HomeError(
                f"{stack.schema_name} holds {topic} already, expected none: restore "
                "into another home, by FIRSTCLICK_HOME"
            )


def _look_for_strangers(connection: psycopg.Connection, stack: Pipeline) -> None:
    found = strangers(connection, _schemas(stack.schema_name), stack.project)
    if found:
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise HomeError(
            # Cause: You created a table, view or function that a restore would drop.
            #   First Click has changed nothing.
            # Remedy: Move it (`alter table … set schema …`) or drop it, then restore
            #   again.
            f"{found[0]}{others} would be lost with {stack.schema_name}, which is to "
            "be replaced, expected only the pipeline's own: move it to another "
            "schema or drop it, or restore into another home"
        )


def _look_at_catalogue(
    connection: psycopg.Connection, stack: Pipeline, file: Path
) -> None:
    """Raise HomeError if a newer version wrote the catalogue.

    Its additional columns may say something that this version wouldn't understand.
    """
    schema = _schemas(stack.schema_name)[1]
    columns = connection.execute(
        "select column_name from information_schema.columns"
        " where table_schema = %s and table_name = 'models'",
        [schema],
    ).fetchall()
    unknown = {name for (name,) in columns} - CATALOGUE
    if unknown:
        raise HomeError(
            f"{file} was made by a newer version of First Click, whose {schema}.models "
            f"has {', '.join(sorted(unknown))}, expected this version's: restore it by "
            "that one"
        )


def _name_database(connection: psycopg.Connection, stack: Pipeline) -> None:
    """Make the catalogue and the functions name this database instead of the backup's.

    dbt names relations in full, as "database"."schema"."name", and PostgreSQL refuses
    the name of another database.
    """
    [here] = connection.execute("select current_database()").fetchone() or ("",)
    schemas = _schemas(stack.schema_name)
    models = sql.Identifier(schemas[1], "models")
    named = connection.execute(
        sql.SQL("select relation from {}").format(models)
    ).fetchall()
    places = {name.rsplit('"."', 2)[0].removeprefix('"') for (name,) in named}
    for there in sorted(places - {here}):
        for schema in schemas:
            _rename(connection, models, (there, here), schema)


def _rename(
    connection: psycopg.Connection,
    models: sql.Identifier,
    databases: tuple[str, str],
    schema: str,
) -> None:
    old, new = (f'"{name}"."{schema}".' for name in databases)
    parameters = {
        "old": old,
        "new": new,
        "old_json": json.dumps(old, ensure_ascii=False)[1:-1],
        "new_json": json.dumps(new, ensure_ascii=False)[1:-1],
    }
    connection.execute(
        sql.SQL(
            "update {} set relation = replace(relation, %(old)s, %(new)s),"
            " sql = replace(sql, %(old)s, %(new)s),"
            " parents = replace(parents::text, %(old_json)s, %(new_json)s)::jsonb,"
            " config = replace(config::text, %(old_json)s, %(new_json)s)::jsonb"
        ).format(models),
        parameters,
    )
    functions = connection.execute(
        "select replace(pg_get_functiondef(pg_proc.oid), %(old)s, %(new)s)"
        " from pg_proc"
        " where pronamespace::regnamespace = any(%(schemas)s::regnamespace[])"
        " and prokind in ('f', 'p') and strpos(prosrc, %(old)s) > 0",
        {**parameters, "schemas": [models.as_string().rpartition(".")[0]]},
    ).fetchall()
    for (definition,) in functions:
        connection.execute(definition)


def _set_aside(connection: psycopg.Connection, stack: Pipeline, seed: str) -> bool:
    """Copy the home's rows of a seed into a temporary table.

    Returns False if the home has no such seed. The rows may be the shop's only copy.
    The temporary table is dropped on commit.
    """
    table = sql.Identifier(stack.schema_name, seed)
    if not _is_there(connection, table):
        return False
    connection.execute(
        sql.SQL("create temporary table {} on commit drop as table {}").format(
            sql.Identifier(f"{seed}_here"), table
        )
    )
    return True


def _bring_back(connection: psycopg.Connection, stack: Pipeline, seed: str) -> int:
    """Insert the rows whose primary keys the backup lacks; return how many."""
    table, aside = sql.Identifier(stack.schema_name, seed), f"{seed}_here"
    common = connection.execute(
        "select attname from pg_attribute"
        " where attrelid = %(table)s::regclass and attnum > 0 and not attisdropped"
        " intersect select attname from pg_attribute"
        " where attrelid = %(aside)s::regclass and attnum > 0 and not attisdropped",
        {"table": table.as_string(), "aside": f"pg_temp.{aside}"},
    ).fetchall()
    return connection.execute(
        sql.SQL(
            "insert into {table} ({columns}) select {columns} from {aside}"
            " on conflict do nothing"
        ).format(
            table=table,
            columns=sql.SQL(", ").join(sql.Identifier(name) for (name,) in common),
            aside=sql.Identifier("pg_temp", aside),
        )
    ).rowcount


def _is_there(connection: psycopg.Connection, table: sql.Identifier) -> bool:
    return connection.execute(
        "select to_regclass(%s)", [table.as_string()]
    ).fetchone() != (None,)
