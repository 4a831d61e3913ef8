"""The role that the dashboards read by: it may read what they show and no more.

It is `grafana`, or `grafana_<schema>` for a pipeline in another schema. dbt makes it
where it is missing and grants it each view that a dashboard may show; here it gets its
password and its limits.
"""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from firstclick.errors import ServerError

SETTINGS = {
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "10s",
    "statement_timeout": "5s",
    "transaction_timeout": "30s",
}
"""What its sessions begin with. What it may do is decided by its privileges alone."""

CONNECTIONS = 40
"""How many sessions it may have, so that others find room."""


def reader_of(schema: str) -> str:
    """The name of the role that reads a pipeline's dashboards."""
    return "grafana" if schema == "firstclick" else f"grafana_{schema}"


def reader_url(owner_url: str, role: str, password: str) -> str:
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


def admit_reader(owner_url: str, role: str, password: str) -> None:
    """Let the role log in by that password, within its limits.

    A role that is the administrator's, which the owner may not alter, is left as it
    is. Raises ServerError where it is missing and the owner may not create it.
    """
    name = sql.Identifier(role)
    with psycopg.connect(owner_url, connect_timeout=10) as connection:
        found = connection.execute(
            "select from pg_roles where rolname = %s", [role]
        ).fetchone()
        # Hashed here, so that the password itself is in no log
        hashed = connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        ).decode()
        statements = [
            sql.SQL("alter role {} login connection limit {} password {}").format(
                name, CONNECTIONS, hashed
            ),
            *(
                sql.SQL("alter role {} set {} to {}").format(
                    name, sql.Identifier(setting), value
                )
                for setting, value in SETTINGS.items()
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
