"""The database roles beside the owner, each with one task.

``grafana`` reads the relations of the dashboards. ``page`` reads the same for the live
page; it is a role of its own, so that other readers can't end its sessions.
``connector``, ``publisher`` and ``expire`` are the workers' roles. If the pipeline's
schema isn't ``firstclick``, its name is added: in the schema ``shop1``, the role is
``grafana_shop1``. dbt creates missing roles and grants their privileges. This module
sets their passwords and limits.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from firstclick.core.database import connect
from firstclick.core.errors import ServerError

HARDEN = Path(__file__).with_name("harden.sql")
"""The script that a superuser runs in the database, so that roles can't do harm."""

READER, PAGE = "grafana", "page"
WORKERS = ("connector", "publisher", "expire")
"""The workers, by their modules' names, in the order in which they start."""


@dataclass(frozen=True)
class Limits:
    """How many sessions a role may have, and the settings with which they start.

    Privileges are separate: these limits grant nothing and forbid nothing.
    """

    connections: int
    """The largest number of sessions at a time."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Initial settings, which a session may change."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Settings that a session can't change. The owner can only set them if a superuser
    has run harden.sql."""


Setting = tuple[str, bool]
"""``name=value``, and whether the setting only applies to this database."""

OWNER = Limits(
    220, {"idle_in_transaction_session_timeout": "5min", "transaction_timeout": "1h"}
)
"""The owner's limits on the bundled server. The settings only apply to ``firstclick
psql``: a session that holds a snapshot keeps VACUUM from removing old row versions."""

# Readers share the server with the workers, so their queries must be short, and an open
# transaction must not keep VACUUM from removing old row versions
_READING = {
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "10s",
    "statement_timeout": "5s",
    "transaction_timeout": "30s",
}
# temp_file_limit is per process, and a parallel query has several. log_min_messages:
# Grafana shows readers their errors, which would otherwise fill the server's log
_FIXED = {"temp_file_limit": "32MB", "log_min_messages": "fatal"}

LIMITS = {
    READER: Limits(30, _READING, _FIXED),
    PAGE: Limits(10, _READING, _FIXED),
    # More than one session each: the previous one may still be ending, and a second
    # worker may wait for its turn
    **dict.fromkeys(WORKERS, Limits(10)),
}


def role_of(work: str, schema: str) -> str:
    """Return the role for a task in a pipeline's schema, for example ``page_shop1``."""
    return work if schema == "firstclick" else f"{work}_{schema}"


def role_url(owner_url: str, role: str, password: str) -> str:
    """Return the URL of the owner's database with the role's credentials."""
    address = urlsplit(owner_url)
    database = conninfo_to_dict(owner_url)
    name = str(database.get("dbname") or database.get("user") or "")
    options = [
        (key, value)
        for key, value in parse_qsl(address.query)
        if key not in ("user", "password", "dbname")
    ]
    host = address.netloc.rpartition("@")[2]
    return urlunsplit(
        (
            address.scheme,
            f"{quote(role, safe='')}:{quote(password, safe='')}@{host}",
            "/" + quote(name, safe=""),
            urlencode(options),
            "",
        )
    )


def admit(
    owner_url: str, role: str, password: str, limits: Limits
) -> frozenset[Setting]:
    """Let the role log in with that password, within its limits.

    A role can change its own password and settings. This sets both again. If an
    administrator created the role, so that the owner may not alter it, it stays as it
    is. Returns the settings that the role has afterwards. Raises ServerError if the
    role is missing and the owner may not create it.
    """
    name = sql.Identifier(role)
    with connect(owner_url) as connection:
        found = connection.execute(
            "select from pg_roles where rolname = %s", [role]
        ).fetchone()
        # Hashed here, so that the server's log never contains the password
        hashed = connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        ).decode()
        database = sql.Identifier(connection.info.dbname)
        statements = [
            sql.SQL("alter role {} login connection limit {} password {}").format(
                name, limits.connections, hashed
            ),
            sql.SQL("alter role {} reset all").format(name),
            sql.SQL("alter role {} in database {} reset all").format(name, database),
            *_set(name, limits.settings),
        ]
        if found is None:
            statements.insert(0, sql.SQL("create role {}").format(name))
        try:
            for statement in statements:
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            if found is None:
                raise ServerError(
                    # Cause: The role for dashboards is missing, and only an
                    #   administrator of the server can create it.
                    # Remedy: Have the administrator run `create role`, or `alter role …
                    #   createrole` for your user.
                    f"the role {role} is missing and the owner of DATABASE_URL may not "
                    "create it: create it, or grant the owner createrole"
                ) from error
            connection.rollback()
        else:
            for statement in _set(name, limits.fixed):
                with (
                    contextlib.suppress(psycopg.errors.InsufficientPrivilege),
                    connection.transaction(),
                ):
                    connection.execute(statement)
        return settings_of(connection, role)


def _set(role: sql.Identifier, settings: Mapping[str, str]) -> list[sql.Composed]:
    return [
        sql.SQL("alter role {} set {} to {}").format(role, sql.Identifier(name), value)
        for name, value in settings.items()
    ]


def settings_of(connection: psycopg.Connection[Any], role: str) -> frozenset[Setting]:
    """Return the settings with which the role's sessions in this database start."""
    return frozenset(
        connection.execute(
            "select setting, setdatabase <> 0 from pg_db_role_setting"
            " cross join unnest(setconfig) as setting"
            " where setrole = to_regrole(quote_ident(%s)) and setdatabase in"
            " (0, (select oid from pg_database where datname = current_database()))",
            [role],
        ).fetchall()
    )


def admit_page(owner_url: str, schema: str, password: Callable[[str], str]) -> str:
    """Let the live page log in with a role of its own, and return the database's URL.

    The page's role inherits the privileges of the readers' role. If the page can't have
    a role, the URL is that of the readers' role. ``password`` returns the password for
    a role's task, for example for ``page``.
    """
    reader, page = role_of(READER, schema), role_of(PAGE, schema)
    url = role_url(owner_url, page, password(PAGE))
    try:
        admit(owner_url, page, password(PAGE), LIMITS[PAGE])
        with connect(owner_url) as owner:
            # Membership gives the page the readers' privileges, but not the reverse:
            # readers can't end the page's sessions
            owner.execute(
                sql.SQL("grant {} to {}").format(
                    sql.Identifier(reader), sql.Identifier(page)
                )
            )
        connect(url).close()
    except (
        ServerError,
        psycopg.OperationalError,
        psycopg.errors.InsufficientPrivilege,
    ):
        return role_url(owner_url, reader, password(READER))
    return url


def oversee(owner_url: str, role: str) -> bool:
    """Make the owner a member of the role, so that it may end the role's sessions.

    Returns whether that succeeded.
    """
    with connect(owner_url) as owner:
        try:
            owner.execute(
                sql.SQL("grant {} to current_user with inherit true, set false").format(
                    sql.Identifier(role)
                )
            )
        except psycopg.errors.InsufficientPrivilege:
            return False
    return True


def may_do_harm(owner_url: str, role: str) -> bool:
    """Return whether the role may take the writers' locks or fill the disk.

    It may until a superuser has run harden.sql in the database.
    """
    with connect(owner_url) as owner:
        found = owner.execute(
            "select has_function_privilege(%s, 'pg_advisory_lock(bigint)', 'execute')"
            " or has_database_privilege(%s, current_database(), 'temporary')",
            [role, role],
        ).fetchone()
    return found == (True,)


def admit_workers(
    owner_url: str, schema: str, password: Callable[[str], str]
) -> dict[str, str]:
    """Let each worker log in with a role of its own, and return their database URLs.

    A worker gets the owner's URL if the owner may not create its role, or if the server
    doesn't let the role log in. ``password`` returns the password of each worker.
    """
    urls = {}
    for worker in WORKERS:
        role = role_of(worker, schema)
        url = role_url(owner_url, role, password(worker))
        try:
            admit(owner_url, role, password(worker), LIMITS[worker])
            connect(url).close()
        except (ServerError, psycopg.OperationalError):
            url = owner_url
        urls[worker] = url
    return urls
