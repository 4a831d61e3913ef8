"""A pipeline in a file, and from it: what the database holds, in pg_dump's format.

That is the messages, all that was derived from them, and how far Kafka has been read,
of one moment. It holds personal data, so only its owner may read it.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import LiteralString

import psycopg
from confluent_kafka import KafkaException
from psycopg import sql

from firstclick import stack as stacks
from firstclick.connector.source import Source
from firstclick.database import connect, postgres_environment, session_environment
from firstclick.embedded.postgres import client_program
from firstclick.errors import FirstClickError, HomeError, ServerError
from firstclick.home import Home
from firstclick.roles import LIMITS, admit, role_of
from firstclick.settings import Settings
from firstclick.stack import Stack

OTHER_KAFKA = """
select {maintenance}.serialise();

-- Offsets of a Kafka that is gone must not be taken for those of the new one
update {schema}.raw_clicks set kafka_partition = least(0, (
    select min(kafka_partition) from {schema}.raw_clicks
)) - 1 - kafka_partition where kafka_partition >= 0;
update {schema}.raw_purchases set kafka_partition = least(0, (
    select min(kafka_partition) from {schema}.raw_purchases
)) - 1 - kafka_partition where kafka_partition >= 0;
delete from {schema}.kafka_offsets;

-- Nor does it hold what was published
insert into {schema}.checkouts_changes (purchase_id)
select purchase_id from {schema}.checkouts
"""


def backup(settings: Settings, file: Path) -> None:
    """Write the pipeline that runs into a file, while events flow.

    A file of that name is replaced when the new one is complete. Raises HomeError
    where it can't be written, ServerError where the pipeline can't be read.
    """
    stack = stacks.running(settings)
    try:
        handle, partial = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
        os.close(handle)
        try:
            _run(
                *("pg_dump", "--format", "custom", "--no-owner", "--file", partial),
                *("--schema", stack.schema_name),
                *("--schema", f"{stack.schema_name}_maintenance"),
                url=stack.database_url,
                programs=settings.postgres_programs,
            )
            os.replace(partial, file)
        except BaseException:
            os.unlink(partial)
            raise
    except OSError as error:
        raise HomeError(
            f"{file} can't be written: {error.strerror}; name a file in a directory "
            "of yours with room in it"
        ) from error


def restore(settings: Settings, file: Path) -> str:
    """Fill a home that has no events yet from a backup; returns what to tell the user.

    Where Kafka is not the one that the backup was made with, its messages stay, as
    those of partitions below zero, new ones are read from the beginning, and all
    checkouts are published again. Raises FirstClickError; the pipeline is then as it
    was.
    """
    if not file.is_file():
        raise HomeError(f"{file} is not there, expected a file that backup has written")
    if stacks.find(settings.home) is not None:
        raise HomeError(
            f"the stack in {settings.home} runs, expected it stopped: run "
            "`firstclick down` first"
        )
    with stacks.up(settings, servers_only=True) as started:
        stack, home = started.stack, Home(settings.home)
        with connect(stack.database_url, autocommit=True) as connection:
            _make_room(connection, stack)
        for work, limits in LIMITS.items():
            role, password = role_of(work, stack.schema_name), home.password(work)
            admit(stack.database_url, role, password, limits)
        _run(
            *("pg_restore", "--exit-on-error", "--single-transaction", "--no-owner"),
            *("--dbname", _name(stack.database_url), str(file)),
            url=stack.database_url,
            programs=settings.postgres_programs,
        )
        with connect(stack.database_url, autocommit=True) as connection:
            _check(connection, stack, file)
            connection.execute("analyze")
            if _is_same_kafka(connection, stack):
                return "Restored, to be read on where the backup ended"
            with connection.transaction():
                connection.execute(_statement(OTHER_KAFKA, stack))
            return "Restored, with a Kafka that is read from its beginning"


def _run(program: str, *arguments: str, url: str, programs: Path | None) -> None:
    done = subprocess.run(
        [client_program(program, programs, url), *arguments],
        env={**os.environ, **session_environment(url)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise ServerError(f"{program} failed: {said[0]}; see to that and try again")


def _name(url: str) -> str:
    return postgres_environment(url)["PGDATABASE"]


def _statement(text: LiteralString, stack: Stack) -> sql.Composed:
    return sql.SQL(text).format(
        schema=sql.Identifier(stack.schema_name),
        maintenance=sql.Identifier(f"{stack.schema_name}_maintenance"),
    )


def _make_room(connection: psycopg.Connection, stack: Stack) -> None:
    for topic in ("clicks", "purchases"):
        table = sql.Identifier(stack.schema_name, f"raw_{topic}")
        found = connection.execute(
            "select to_regclass(%s)", [table.as_string()]
        ).fetchone()
        if found == (None,):
            continue
        events = connection.execute(
            sql.SQL("select from {} limit 1").format(table)
        ).fetchone()
        if events is not None:
            raise HomeError(
                f"{stack.schema_name} holds {topic} already, expected none: restore "
                "into another home, by FIRSTCLICK_HOME"
            )
    connection.execute(
        _statement("drop schema if exists {schema}, {maintenance} cascade", stack)
    )


def _check(connection: psycopg.Connection, stack: Stack, file: Path) -> None:
    offsets = sql.Identifier(stack.schema_name, "kafka_offsets").as_string()
    if connection.execute("select to_regclass(%s)", [offsets]).fetchone() == (None,):
        raise FirstClickError(
            f"{file} has no schema {stack.schema_name}: set FIRSTCLICK_SCHEMA to the "
            "one that it was made from"
        )


def _is_same_kafka(connection: psycopg.Connection, stack: Stack) -> bool:
    """Whether Kafka holds all that has been read; a new one holds less."""
    offsets = sql.Identifier(stack.schema_name, "kafka_offsets")
    stored = connection.execute(
        sql.SQL("select topic, kafka_partition, next_offset from {}").format(offsets)
    ).fetchall()
    try:
        with Source(stack.kafka, stack.topic_prefix) as source:
            marks = source.high_watermarks(source.partitions())
    except KafkaException as error:
        raise ServerError(
            f"Kafka does not answer on {stack.bootstrap_servers}: "
            f"{error.args[0].str()}; see to it and restore again"
        ) from error
    return all(
        offset <= marks[topic].get(partition, -1) for topic, partition, offset in stored
    )
