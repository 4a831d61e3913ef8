"""The workers' common parts: their main function, and an exclusive session."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from firstclick.core.database import connect
from firstclick.core.environment import forget_libpq
from firstclick.core.errors import DeploymentError, FirstClickError
from firstclick.core.logging import configure
from firstclick.core.pipeline import Pipeline, named
from firstclick.core.settings import Settings
from firstclick.core.waiting import Stop, Stopped, stoppable


@contextmanager
def exclusive_session(
    pipeline: Pipeline, role: str, relations: list[str], stop: Stop, log: logging.Logger
) -> Iterator[psycopg.Connection]:
    """Connect to PostgreSQL as the only worker of this role for the schema.

    If another worker of the role runs, wait until its session ends, without holding a
    transaction open. The connection is in autocommit mode. ``relations`` names the
    relations and functions that the worker needs, for example
    ``firstclick.kafka_offsets``.

    Raises psycopg.Error, DeploymentError if one of the relations is missing, and
    Stopped if a signal arrives during the wait.
    """
    with connect(
        pipeline.database_url,
        autocommit=True,
        application_name=f"firstclick {role}",
        connect_timeout=5,
        # If the server's machine disappears, notice after 10 + 3 * 5 s. Linux's own
        # defaults take two hours
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    ) as connection:
        # If this process dies during a long statement, PostgreSQL ends the session
        # within a second, and the next worker gets the lock
        connection.execute("set client_connection_check_interval to '1s'")
        lock = f"{pipeline.schema_name}_maintenance.try_singleton_lock"
        for name in (*relations, lock):
            found = connection.execute(
                "select coalesce(to_regclass(%(name)s)::oid, to_regproc(%(name)s))",
                {"name": name},
            ).fetchone()
            if found == (None,):
                raise DeploymentError(
                    f"expected {name} in the database, found none: "
                    "deploy the models first, by firstclick up or dbt run"
                )
        _wait_for_turn(connection, pipeline.schema_name, role, stop, log)
        yield connection


def _wait_for_turn(
    connection: psycopg.Connection,
    schema: str,
    role: str,
    stop: Stop,
    log: logging.Logger,
) -> None:
    said = False
    ask = sql.SQL("select {}(%s)").format(
        sql.Identifier(f"{schema}_maintenance", "try_singleton_lock")
    )
    while connection.execute(ask, [role]).fetchone() != (True,):
        if not said:
            log.warning(
                # Cause: Two workers of a kind would write everything twice, so the
                #   second one waits.
                # Remedy: Nothing, or end one of them.
                "another firstclick %s of %s runs; waiting for it to end",
                role,
                schema,
            )
            said = True
        stop.wait(0.5)


def main(name: str, work: Callable[[Pipeline, Stop, logging.Logger], None]) -> int:
    """Run a worker until SIGTERM or SIGINT, and return the exit status.

    The environment says which pipeline it works for. The log goes to stderr, and ends
    with the message of the FirstClickError if there is one.
    """
    log = configure(name)
    forget_libpq()
    try:
        with stoppable() as stop:
            work(named(Settings.load()), stop, log)
    except Stopped:
        pass
    except FirstClickError as error:
        log.error("%s", error)
        return 1
    log.info("stopped")
    return 0
