"""The roles that share the database with its owner, each for one work alone.

``grafana`` reads what the dashboards show, and so does ``page``, which is the live
page's, so that other readers can't end its sessions. ``connector``, ``publisher`` and
``expire`` are the workers. In a pipeline of another schema than the usual one they are
``grafana_<schema>`` and so on. dbt makes them where they are missing and grants each
what its work takes; here they get their passwords and their limits.
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
"""What a superuser runs in the database, so that its roles can do no harm."""

READER, PAGE = "grafana", "page"
WORKERS = ("connector", "publisher", "expire")
"""The modules that work in the database, in the order of their start."""


@dataclass(frozen=True)
class Limits:
    """What the sessions of a role begin with, and how many it may have.

    What it may do is decided by its privileges alone.
    """

    connections: int
    settings: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    """What the sessions can't set otherwise, and the owner only where a superuser has
    run harden.sql."""


Setting = tuple[str, bool]
"""A setting with its value, and whether it is for this database alone."""

OWNER = Limits(
    220, {"idle_in_transaction_session_timeout": "5min", "transaction_timeout": "1h"}
)
"""Of the owner on a server of our own, the settings for ``firstclick psql`` alone. A
snapshot that is held keeps every row's older versions from being cleared away."""

# So that others find room, and none of its queries lasts
_READING = {
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "10s",
    "statement_timeout": "5s",
    "transaction_timeout": "30s",
}
# Each process's, of which a query may have several. Of its errors Grafana tells itself
_FIXED = {"temp_file_limit": "32MB", "log_min_messages": "fatal"}

LIMITS = {
    READER: Limits(30, _READING, _FIXED),
    PAGE: Limits(10, _READING, _FIXED),
    # One that is replaced may not have gone yet, and one waits for its turn
    **dict.fromkeys(WORKERS, Limits(10)),
}


def role_of(work: str, schema: str) -> str:
    """The name of the role that does this work for a pipeline."""
    return work if schema == "firstclick" else f"{work}_{schema}"


def role_url(owner_url: str, role: str, password: str) -> str:
    """The address of the owner's database for that role."""
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
    """Let the role log in by that password, within its limits.

    What the role has changed of itself is undone: its password and its settings. A
    role that is the administrator's, which the owner may not alter, is left as it is.
    Returns the settings that it has then. Raises ServerError where it is missing and
    the owner may not create it.
    """
    name = sql.Identifier(role)
    with connect(owner_url) as connection:
        found = connection.execute(
            "select from pg_roles where rolname = %s", [role]
        ).fetchone()
        # Hashed here, so that the password itself is in no log
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
    """What the role's sessions in this database begin with."""
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
    """Let the live page log in by a role of its own; returns its address.

    It is that of the readers' role, with whatever that may read. It is the readers'
    own address where the page can have no role. ``password`` has that of each role.
    """
    reader, page = role_of(READER, schema), role_of(PAGE, schema)
    url = role_url(owner_url, page, password(PAGE))
    try:
        admit(owner_url, page, password(PAGE), LIMITS[PAGE])
        with connect(owner_url) as owner:
            # Its members have its privileges; it has not theirs
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
    """Let the owner end the role's sessions; returns whether it may."""
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
    """Whether nobody has run harden.sql on this server, so that the role may take the
    writers' locks and fill the disk."""
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
    """Let each worker log in by a role of its own; returns their addresses.

    It is the owner's where none can: the owner may not make it, or the server does
    not let it in. ``password`` has that of each worker.
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
