"""Checks whether the PostgreSQL in ``DATABASE_URL`` can hold the pipeline."""

from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from firstclick.core.database import connect
from firstclick.core.errors import ServerError
from firstclick.servers.postgres import MAJOR

_ASKED = """
select
    current_database() as name,
    current_user as owner,
    current_setting('server_encoding') as encoding,
    pg_is_in_recovery() as is_standby,
    has_database_privilege(current_database(), 'create') as may_create,
    array(
        select wanted from unnest(%s::text[]) as wanted
        where to_regnamespace(quote_ident(wanted)) is null
    ) as missing,
    array(
        select nspname::text from pg_namespace
        where nspname = any(%s) and not has_schema_privilege(oid, 'create')
    ) as closed
"""


@dataclass(frozen=True)
class _Database:
    name: str
    owner: str
    encoding: str
    is_standby: bool
    may_create: bool
    missing: list[str]
    """The pipeline's schemas that don't exist yet."""
    closed: list[str]
    """The existing ones in which the role may not create anything."""


def check_given(url: str, schema: str) -> str:
    """Check the server in ``DATABASE_URL``, and return a line of progress about it.

    Raises ServerError if its database can't hold the pipeline's ``schema``: if its
    version is too old, its encoding isn't UTF-8, it is a standby, or a privilege is
    missing.
    """
    schemas = [schema, f"{schema}_maintenance"]
    try:
        with connect(url) as connection:
            number = connection.info.server_version
            host, port = connection.info.host, connection.info.port
            cursor = connection.cursor(row_factory=class_row(_Database))
            found = (
                cursor.execute(_ASKED, [schemas, schemas]).fetchone()
                if number // 10000 >= MAJOR
                else None
            )
    except psycopg.Error as error:
        raise ServerError(
            f"DATABASE_URL can't be reached: {' '.join(str(error).split())}; look "
            "at the server, or unset it to have one started"
        ) from error
    if found is None:
        raise ServerError(
            f"DATABASE_URL is PostgreSQL {number // 10000}, expected {MAJOR} or newer: "
            "give another server, or unset it to have one started"
        )
    if found.encoding != "UTF8":
        raise ServerError(
            # Cause: Another encoding can't store every character, so PostgreSQL would
            #   refuse well-formed events.
            # Remedy: Create another database with the statement in the message, and set
            #   `DATABASE_URL` to it. You can't change the encoding of an existing one.
            f"the database {found.name} is encoded in {found.encoding}, expected UTF8, "
            "as events hold any character: create another one with `create database "
            "… encoding 'UTF8' template template0`, and set DATABASE_URL to it"
        )
    if found.is_standby:
        raise ServerError(
            # Cause: The address leads to a replica.
            # Remedy: Set `DATABASE_URL` to the primary.
            "the server of DATABASE_URL is a standby, expected one that can be "
            "written to: set DATABASE_URL to its primary"
        )
    if found.missing and not found.may_create:
        raise ServerError(
            f"{found.owner} may not create schemas in the database {found.name}, "
            f"expected it may: run `grant create on database {found.name} to "
            f"{found.owner}` as its owner"
        )
    if found.closed:
        raise ServerError(
            f"{found.owner} may not create tables in the schema {found.closed[0]}, "
            f"expected it may: make {found.owner} its owner, or set FIRSTCLICK_SCHEMA "
            "to another one"
        )
    return f"PostgreSQL {number // 10000}.{number % 10000} on {host}:{port}, as given"
