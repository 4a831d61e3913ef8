"""The triggers that keep the models of the embedded engine."""

from typing import Any

import psycopg
from psycopg import sql


def trigger_problems(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    """Say which triggers are not as they were deployed: what changed may be missed.

    Empty where nothing is deployed, or by a version that didn't remember its triggers.
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
