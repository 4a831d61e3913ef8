"""What the connector and the publisher share: signals, patience, one at a time."""

import logging
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from firstclick.core.cluster import Cluster
from firstclick.core.database import connect
from firstclick.core.environment import forget_libpq
from firstclick.core.errors import DeploymentError, FirstClickError, SettingsError
from firstclick.core.failure import FailureFile
from firstclick.core.logging import configure
from firstclick.core.settings import Settings

if TYPE_CHECKING:
    from firstclick.operate.stack import Stack

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between attempts; doubled from one to the next."""


class Stopped(Exception):
    """A signal asked for the end while something was waited for."""


class Stop:
    """Whether SIGTERM or SIGINT came; a wait for it ends at once when it does."""

    def __init__(self) -> None:
        self.requested = False
        self._signalled, self._signal = socket.socketpair()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested = True
            self._signal.send(b"\0")

    def wait(self, seconds: float) -> None:
        """Wait so long. Raises Stopped when a signal came, now or before."""
        if select.select([self._signalled], [], [], seconds)[0]:
            raise Stopped


@contextmanager
def stoppable() -> Iterator[Stop]:
    """A Stop for as long as the block runs; the signals are as before after that."""
    handlers = [(n, signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT)]
    try:
        yield Stop()
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)


class Backoff:
    """Pauses between attempts at one thing, with a log line for each and the end.

    They are short again only after a while without a failure, so that something that
    works and fails in turn can't fill the log.
    """

    def __init__(
        self, subject: str, log: logging.Logger, directory: Path | None = None
    ) -> None:
        """A failure is left in ``directory`` for who asks how the worker does."""
        self._file = FailureFile(directory, log.name, subject)
        self._subject = subject
        self._log = log
        self._pause = FIRST_PAUSE
        self._since: float | None = None
        self._latest = 0.0

    def failed(self, reason: object) -> float:
        """Note a failure; returns the seconds to pause before the next attempt."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            if now - self._latest > 2 * LONGEST_PAUSE:
                self._pause = FIRST_PAUSE
        self._latest = now
        self._file.note(one_line(reason))
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        self._log.warning(
            "%s: %s; trying again in %.1f s",
            *(self._subject, one_line(reason), pause),
            extra={"subject": self._subject, "pause_seconds": pause},
        )
        return pause

    def succeeded(self) -> None:
        """Note a success, in the log too when it is the first after a failure."""
        if self._since is not None:
            seconds = time.monotonic() - self._since
            self._log.info(
                "%s: works again after %.1f s",
                *(self._subject, seconds),
                extra={"subject": self._subject, "seconds": seconds},
            )
            self._since = None
        self._file.clear()


def one_line(reason: object) -> str:
    """Return an error's text on one line, without the statements in its context."""
    return " ".join(str(reason).partition("\nCONTEXT:")[0].split())


@dataclass(frozen=True)
class Place:
    """Where a worker reads and writes."""

    database_url: str
    kafka: Cluster
    schema: str
    topic_prefix: str
    target: str = "embedded"
    """The engine, as dbt's target is named."""
    metrics: Path | None = None
    """Where what is counted is left for the live page, if anywhere."""

    @classmethod
    def of(cls, stack: "Stack", target: str = "embedded") -> "Place":
        """The servers of a stack, and the pipeline on them."""
        return cls(
            *(stack.database_url, stack.kafka, stack.schema_name, stack.topic_prefix),
            target,
        )


@contextmanager
def exclusive_session(
    place: Place, role: str, relations: list[str], stop: Stop, log: logging.Logger
) -> Iterator[psycopg.Connection]:
    """Connect to PostgreSQL as the only worker of this role for the schema.

    Another one waits here, without a transaction, for as long as the session of the
    first lives. The connection is in autocommit mode. ``relations`` are what the
    worker needs besides the lock.

    Raises DeploymentError when one of the relations or functions is missing, Stopped
    when a signal comes while waiting, psycopg.Error.
    """
    with connect(
        place.database_url,
        autocommit=True,
        application_name=f"firstclick {role}",
        connect_timeout=5,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
    ) as connection:
        connection.execute("set client_connection_check_interval to '1s'")
        alone = f"{place.schema}_maintenance.alone"
        for name in (*relations, alone):
            found = connection.execute(
                "select coalesce(to_regclass(%(name)s)::oid, to_regproc(%(name)s))",
                {"name": name},
            ).fetchone()
            if found == (None,):
                raise DeploymentError(
                    f"expected {name} in the database, found none: "
                    "deploy the models first, by firstclick up or dbt run"
                )
        _wait_for_turn(connection, place.schema, role, stop, log)
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
        sql.Identifier(f"{schema}_maintenance", "alone")
    )
    while connection.execute(ask, [role]).fetchone() != (True,):
        if not said:
            log.warning(
                "another firstclick %s of %s runs; waiting for it to end", role, schema
            )
            said = True
        stop.wait(0.5)


def main(name: str, work: Callable[[Place, Stop, logging.Logger], None]) -> int:
    """Run a worker until SIGTERM or SIGINT; returns the exit status.

    It gets its place from the environment. The log goes to stderr, a FirstClickError
    as its last line.
    """
    log = configure(name)
    forget_libpq()
    try:
        work(_place(), Stop(), log)
    except Stopped:
        pass
    except FirstClickError as error:
        log.error("%s", error)
        return 1
    log.info("stopped")
    return 0


def _place() -> Place:
    settings = Settings.load()
    url, kafka = settings.database_url, settings.kafka
    if url is None or kafka is None:
        missing = "DATABASE_URL" if url is None else "KAFKA_BOOTSTRAP_SERVERS"
        raise SettingsError(
            f"{missing} is not set: expected the address of a running server, as "
            "firstclick env prints it: export it"
        )
    return Place(
        url,
        kafka,
        settings.schema_name,
        settings.topic_prefix,
        settings.target,
        settings.metrics,
    )
