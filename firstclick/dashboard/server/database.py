"""The page's database: two connections, and how much time their queries took."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.errors import InsufficientPrivilege, QueryCanceled, UndefinedTable

from firstclick.core.database import connect_async
from firstclick.core.waiting import Backoff, one_line
from firstclick.dashboard.server.frames import Frame, read

APPLICATION_NAME = "firstclick live"

_GRACE = 2.0
"""Seconds after a statement's time limit, until the server counts as dead."""


class DatabaseUnavailable(Exception):
    """The database doesn't answer."""


class Failed(Exception):
    """A query failed. The message is meant for the page's viewers."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds
        """How long the query ran until it failed."""


class TooSlow(Failed):
    """A query reached its time limit."""


@dataclass
class QueryStats:
    """The number of queries since the page started, and the seconds that they took."""

    queries: int = 0
    seconds: float = 0.0


class QueryConnection:
    """A connection that runs one statement at a time, and reconnects when it breaks.

    ``limit`` is the statement timeout in seconds.
    """

    def __init__(
        self,
        url: str,
        limit: float,
        stats: QueryStats,
        log: logging.Logger,
        target: str = "embedded",
    ) -> None:
        self._url = url
        self._target = target
        self._limit = limit
        self._stats = stats
        self._log = log
        self._backoff = Backoff("PostgreSQL", log)
        self._connection: psycopg.AsyncConnection | None = None
        self._reason = ""
        self._retry_at = 0.0
        self._turn = asyncio.Lock()

    async def query(self, statement: str) -> tuple[Frame, float]:
        """Run a statement; return its result, and the seconds that it took.

        Raises DatabaseUnavailable; TooSlow if it reached the limit; Failed if it can't
        succeed.
        """
        async with self._turn:
            connection = await self._connected()
            start = time.monotonic()
            try:
                cursor = await self._execute(connection, statement)
                frame = read(cursor, await cursor.fetchall())
            except psycopg.Error as error:
                if connection.closed:
                    raise await self._lost(error) from error
                raise self._failure(error, time.monotonic() - start) from error
            finally:
                self._stats.queries += 1
                self._stats.seconds += time.monotonic() - start
            return frame, time.monotonic() - start

    async def connect(self) -> None:
        """Connect, so that the page shows up in pg_stat_activity.

        Raises DatabaseUnavailable.
        """
        async with self._turn:
            await self._connected()

    async def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        if time.monotonic() < self._retry_at:
            raise DatabaseUnavailable(self._reason)
        try:
            self._connection = await connect_async(
                self._url,
                target=self._target,
                within_limits=True,
                prepare_threshold=None,
                application_name=APPLICATION_NAME,
                connect_timeout=5,
                # A server that vanished is noticed within 25 s: 10, then 3 times 5
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
            await self._execute(
                self._connection,
                f"set statement_timeout = '{self._limit * 1000:.0f}ms'",
            )
        except psycopg.Error as error:
            raise await self._lost(error) from error
        self._backoff.succeeded()
        return self._connection

    async def _execute(
        self, connection: psycopg.AsyncConnection, statement: str
    ) -> psycopg.AsyncCursor[tuple[Any, ...]]:
        silence = asyncio.get_running_loop().call_later(
            self._limit + _GRACE, _hang_up, connection
        )
        try:
            return await connection.execute(statement)
        finally:
            silence.cancel()

    async def _lost(self, reason: object) -> DatabaseUnavailable:
        await self.close()
        self._reason = one_line(reason)
        self._retry_at = time.monotonic() + self._backoff.failed(reason)
        return DatabaseUnavailable(self._reason)

    def _failure(self, error: psycopg.Error, seconds: float) -> Failed:
        # RisingWave has no SQLSTATE for a statement timeout, so the time tells
        if isinstance(error, QueryCanceled) or seconds >= self._limit:
            # Cause: A panel's query reached its time limit: there is much data, or the
            #   machine is busy.
            # Remedy: Choose a shorter time span.
            return TooSlow(f"The query takes longer than {self._limit:g} s.", seconds)
        match error:
            case UndefinedTable():
                words = "A relation that it reads is missing: deploy the models."
            case InsufficientPrivilege():
                # Cause: Somebody revoked a privilege, or the panel reads a relation
                #   that is not for dashboards.
                # Remedy: `dbt run` grants the privileges again.
                words = "The dashboards' role may not read a relation that it needs."
            case _:
                words = f"The database refused the query (SQLSTATE {error.sqlstate})."
        self._log.warning("a panel's query failed: %s", one_line(error))
        return Failed(words, seconds)


def _hang_up(connection: psycopg.AsyncConnection) -> None:
    # Shut the socket down: cancelling would wait for an answer of a server that hangs.
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


class Database:
    """Two connections: one for quick queries, one for those that turned out slow."""

    QUICK, SLOW = 1.0, 5.0
    """The statement timeouts of the two, in seconds."""

    def __init__(self, url: str, log: logging.Logger, target: str = "embedded") -> None:
        self.stats = QueryStats()
        self._quick = QueryConnection(url, self.QUICK, self.stats, log, target)
        self._slow = QueryConnection(url, self.SLOW, self.stats, log, target)

    async def query(self, statement: str, expected: float) -> tuple[Frame, float]:
        """Run a statement that took ``expected`` seconds last time.

        If it turns out slow, the second connection runs it again. Raises
        DatabaseUnavailable and Failed.
        """
        if expected < self.QUICK / 4:
            with contextlib.suppress(TooSlow):
                return await self._quick.query(statement)
        return await self._slow.query(statement)

    async def connect(self) -> None:
        """Connect, without waiting for the first query. Raises DatabaseUnavailable."""
        await self._quick.connect()

    async def close(self) -> None:
        await self._quick.close()
        await self._slow.close()
