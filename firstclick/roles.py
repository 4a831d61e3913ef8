"""The roles that share the database with its owner, each for one work alone.

``grafana`` reads what the dashboards show; ``connector``, ``publisher`` and ``expire``
are the workers. In a pipeline of another schema than the usual one they are
``grafana_<schema>`` and so on. dbt makes them where they are missing and grants each
what its work takes; here they get their passwords and their limits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from firstclick.database import connect
from firstclick.errors import ServerError

READER = "grafana"
WORKERS = ("connector", "publisher", "expire")
"""The modules that work in the database, in the order of their start."""


@dataclass(frozen=True)
class Limits:
    """What the sessions of a role begin with, and how many it may have.

    What it may do is decided by its privileges alone.
    """

    connections: int
    settings: Mapping[str, str] = field(default_factory=dict)


OWNER = Limits(
    220, {"idle_in_transaction_session_timeout": "5min", "transaction_timeout": "1h"}
)
"""Of the owner on a server of our own, the settings for ``firstclick psql`` alone. A
snapshot that is held keeps every row's older versions from being cleared away."""

LIMITS = {
    # So that others find room, and none of its queries lasts
    READER: Limits(
        40,
        {
            "default_transaction_read_only": "on",
            "idle_in_transaction_session_timeout": "10s",
            "statement_timeout": "5s",
            "transaction_timeout": "30s",
        },
    ),
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


def admit(owner_url: str, role: str, password: str, limits: Limits) -> None:
    """Let the role log in by that password, within its limits.

    A role that is the administrator's, which the owner may not alter, is left as it
    is. Raises ServerError where it is missing and the owner may not create it.
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
        statements = [
            sql.SQL("alter role {} login connection limit {} password {}").format(
                name, limits.connections, hashed
            ),
            *(
                sql.SQL("alter role {} set {} to {}").format(
                    name, sql.Identifier(setting), value
                )
                for setting, value in limits.settings.items()
            ),
        ]
        if found is None:
            statements.insert(0, sql.SQL("create role {}").format(name))
        try:
            for statement in statements:
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            if found is None:
                raise ServerError(
                    f"the role {role} is missing and the owner of DATABASE_URL may not "
                    "create it: create it, or grant the owner createrole"
                ) from error
            connection.rollback()


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
