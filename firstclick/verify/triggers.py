"""Check the triggers that keep the embedded engine's models up to date."""

from typing import Any

import psycopg
from psycopg import sql


def trigger_problems(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    """Return problems with triggers, for example that somebody disabled one.

    Changes may have bypassed such a trigger. Returns an empty list if nothing is
    deployed, or if the version that deployed the models didn't record its triggers.
    Raises psycopg.Error.
    """
    check = sql.Identifier(f"{schema}_maintenance", "check_triggers")
    there = connection.execute(
        "select to_regprocedure(%s)", [f"{check.as_string()}()"]
    ).fetchone()
    if there is None or there[0] is None:
        return []
    query = sql.SQL("select relation || ': ' || problem from {}()").format(check)
    return [problem for (problem,) in connection.execute(query)]
