"""Connections to PostgreSQL that work the same whatever surrounds them.

A database or a role can set what its sessions begin with: the encoding, how a date is
written, what a transaction may do, how long a statement may take. Each connection of
ours sets all of that itself, in the startup packet: this costs no round trip and
outranks ``alter database … set`` and ``alter role … set``. Where a pooler refuses or
drops these options, they are set by statements.

What a URL leaves open comes from libpq's own defaults and never from the shell's
``PG…`` variables, which ``firstclick.core.environment`` takes away.
"""

from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

FORMATS = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "search_path": '"$user", public',
}
"""How values are written and read, and names found: PostgreSQL's defaults, in UTC."""

TRANSACTIONS = {
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "on",
    "restrict_nonsystem_relation_kind": "",
    "exit_on_error": "off",
}
"""What a transaction is."""

LIMITS = {
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""What a session may do and for how long: without a limit, as by default."""

# PostgreSQL reports it to each client since version 18. No pooler's default is the same
_TOLD = "search_path"
_TOLD_SINCE = 180000


def connect(
    url: str,
    *,
    target: str = "embedded",
    within_limits: bool = False,
    autocommit: bool = False,
    connect_timeout: int = 10,
    **parameters: Any,
) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect, with all settings that the code depends on.

    Another engine than PostgreSQL, which ``target`` names as dbt does, gets none of
    them. ``within_limits`` keeps those of ``LIMITS`` that the role has.
    ``connect_timeout`` is in seconds, ``parameters`` are libpq's. Raises
    psycopg.OperationalError.
    """
    settings = _settings(target, within_limits)
    arguments = {"connect_timeout": connect_timeout, **parameters}
    try:
        connection = psycopg.connect(
            url, autocommit=True, **_with_options(url, settings), **arguments
        )
    except psycopg.OperationalError as error:
        if not _are_refused(error):
            raise
        connection = psycopg.connect(url, autocommit=True, **arguments)
    try:
        if not _are_set(connection, settings):
            connection.execute(_statements(settings))
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


async def connect_async(
    url: str,
    *,
    target: str = "embedded",
    within_limits: bool = False,
    connect_timeout: int = 10,
    **parameters: Any,
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """As ``connect``, in autocommit mode."""
    settings = _settings(target, within_limits)
    arguments = {"connect_timeout": connect_timeout, **parameters}
    try:
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, **_with_options(url, settings), **arguments
        )
    except psycopg.OperationalError as error:
        if not _are_refused(error):
            raise
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, **arguments
        )
    try:
        if not _are_set(connection, settings):
            await connection.execute(_statements(settings))
    except BaseException:
        await connection.close()
        raise
    return connection


def session_options(given: str = "", *, within_limits: bool = False) -> str:
    """Return libpq's ``options`` with the settings behind those that are given."""
    return _options(given, _settings("embedded", within_limits))


def postgres_environment(database_url: str) -> dict[str, str]:
    """The variables by which libpq's programs and profiles.yml find the database."""
    variables = {
        option.keyword.decode(): option.envvar.decode()
        for option in Conninfo.get_defaults()
        if option.envvar is not None
    }
    given = {"host": "localhost", "port": "5432", **conninfo_to_dict(database_url)}
    if "user" in given:
        given.setdefault("dbname", given["user"])
    return {
        variables[name]: str(value)
        for name, value in given.items()
        if name in variables and value is not None
    }


def session_environment(
    database_url: str, target: str = "embedded", *, within_limits: bool = False
) -> dict[str, str]:
    """As ``postgres_environment``, with the settings: for programs of ours, and dbt."""
    variables = postgres_environment(database_url)
    if target == "embedded":
        variables["PGOPTIONS"] = session_options(
            variables.get("PGOPTIONS", ""), within_limits=within_limits
        )
    return variables


def _settings(target: str, within_limits: bool) -> dict[str, str]:
    if target != "embedded":
        return {}
    return FORMATS | TRANSACTIONS | ({} if within_limits else LIMITS)


def _with_options(url: str, settings: dict[str, str]) -> dict[str, Any]:
    if not settings:
        return {}
    given = conninfo_to_dict(url).get("options")
    return {"options": _options(str(given or ""), settings)}


def _options(given: str, settings: dict[str, str]) -> str:
    escaped = {
        name: value.replace("\\", "\\\\").replace(" ", "\\ ")
        for name, value in settings.items()
    }
    ours = [f"-c {name}={value}" for name, value in escaped.items()]
    return " ".join([*([given] if given else []), *ours])


def _are_refused(error: psycopg.OperationalError) -> bool:
    # As PgBouncer says it, and a PostgreSQL before 18, whose version is told by others
    words = ("unsupported startup parameter", "unrecognized configuration parameter")
    return any(each in str(error) for each in words)


def _are_set(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
    settings: dict[str, str],
) -> bool:
    """Whether the server has taken the options; so for one that can't have them."""
    if not settings or connection.info.server_version < _TOLD_SINCE:
        return True
    return connection.info.parameter_status(_TOLD) == settings[_TOLD]


def _statements(settings: dict[str, str]) -> sql.Composed:
    return sql.SQL("select {}").format(
        sql.SQL(", ").join(
            sql.SQL("set_config({}, {}, false)").format(name, value)
            for name, value in settings.items()
        )
    )
