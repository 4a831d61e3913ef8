"""Connections to PostgreSQL that behave the same on every server.

A database or a role can define how its sessions start: with which encoding, date format
and isolation level, and with which timeouts. First Click's connections set all of these
themselves, in the startup packet. This costs no round trip, and takes precedence over
``alter database … set`` and ``alter role … set``. If a connection pooler refuses or
drops these options, First Click sets them by a statement.

For parts that the URL leaves open, such as the port, libpq's built-in defaults apply
and never the shell's ``PG…`` variables: ``firstclick.core.environment`` removes them.
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
    # PostgreSQL's default in a spelling of our own: see _TOLD
    "search_path": '"$user",public',
}
"""How values are written and read, and how names are resolved: PostgreSQL's defaults,
but with UTC as the time zone."""

TRANSACTIONS = {
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "on",
    "restrict_nonsystem_relation_kind": "",
    "exit_on_error": "off",
}
"""How transactions behave: PostgreSQL's defaults."""

LIMITS = {
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""Limits and timeouts of a session: none, which are PostgreSQL's defaults."""

# Since version 18, PostgreSQL reports search_path to each client, letter by letter. Our
# spelling lacks a space, so that it shows whether the options reached the server
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
    """Connect to a database, with all session settings that the code depends on.

    ``target`` is the dbt target; an engine other than ``embedded`` gets no settings.
    With ``within_limits``, the role's own limits apply instead of ``LIMITS``.
    ``connect_timeout`` is in seconds. ``parameters`` are libpq's, for example
    ``application_name``. Raises psycopg.OperationalError.
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
    """Like ``connect``, but asynchronous and always in autocommit mode."""
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
    """Return a value for libpq's ``options``: those given, then our settings."""
    return _options(given, _settings("embedded", within_limits))


def postgres_environment(database_url: str) -> dict[str, str]:
    """Return the ``PG…`` variables of a URL, for libpq's programs and profiles.yml.

    For example ``PGHOST`` and ``PGDATABASE``.
    """
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
    """Return ``postgres_environment`` with the session settings in ``PGOPTIONS``.

    This is for dbt and for the programs that First Click runs itself.
    """
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
    # The first is PgBouncer's. The second is of a PostgreSQL before 18, which lacks
    # some of the settings; our callers report its version
    words = ("unsupported startup parameter", "unrecognized configuration parameter")
    return any(each in str(error) for each in words)


def _are_set(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
    settings: dict[str, str],
) -> bool:
    """Return whether the server applied the options; True for one before version 18."""
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
