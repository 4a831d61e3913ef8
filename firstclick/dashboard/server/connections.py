"""Limit the page's connections, and choose which to close when there are too many.

A connection either works on a request or waits for one: from the moment that it opens,
or that its last response is complete, until the head of a request has arrived. To wait
costs a client nothing, so waiting has an end: after WAIT_SECONDS, or earlier if the
page has too many connections; then it closes the one that has waited longest. A
viewer's stream is work, so it is never closed for waiting. Viewers may not take up all
connections, so that the page can always answer.
"""

import asyncio
import logging
import resource
import time
from collections import Counter
from ipaddress import ip_address
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

WAIT_SECONDS = 10.0
"""How long the head of a request may take, however slowly its bytes arrive."""

STUCK_SECONDS = 15.0
"""How long a client may take to read a response, until it is disconnected."""

RETRY_SECONDS = 10
"""After how many seconds a client that was turned away should try again."""

ALWAYS = ("/health", "/metrics")
"""Paths that are answered even if there are too many viewers."""

_MOST = 4000
"""The most connections, if the process may open enough files."""
_OWN_FILES = 64
"""Files that the process needs for other things than connections."""
_QUEUE = 1024
"""How many new connections the kernel may queue until the page accepts them."""


class Connections:
    """The open connections, and which of them are waiting."""

    def __init__(self, log: logging.Logger, files: int) -> None:
        """``files`` is the number of files that this process may have open."""
        self.accepts = max(2, min(64, files // 64))
        """How many new connections are accepted at once. asyncio may accept a few times
        as many before the first is counted.
        """
        self.most = max(8, min(_MOST, files - _OWN_FILES - 4 * self.accepts))
        self.most_requests = self.most - self.most // 8
        self.most_of_one = self.most_requests // 2
        """How many requests one address may have. Loopback may have as many as all
        together, because a proxy on this machine connects for many viewers.
        """
        self.closed: Counter[str] = Counter()
        self.turned_away = 0
        self._log = log
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, float] = {}
        self._stuck: dict[Connection, float] = {}
        self._requests: Counter[str] = Counter()

    @property
    def open(self) -> int:
        return len(self._open)

    def opened(self, connection: "Connection") -> None:
        self._open.add(connection)
        self.waits(connection)
        if len(self._open) > self.most:
            self._log.warning(
                # Cause: Something connects to the live page and sends no request, for
                #   example a port scan. It keeps out no viewer.
                # Remedy: Find out who connects with `ss -tn`. A proxy in front of the
                #   page can refuse them.
                "%d connections, as many as the page may have: those that have waited "
                "longest without a request are closed",
                self.most,
            )
            self._close(next(iter(self._waiting)), "too many")

    def waits(self, connection: "Connection") -> None:
        """Note that a connection waits for a request from now on."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = time.monotonic()

    def works(self, connection: "Connection") -> None:
        self._waiting.pop(connection, None)

    def lost(self, connection: "Connection") -> None:
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        self._stuck.pop(connection, None)

    def begin(self, address: str) -> bool:
        """Count a request and return True, or return False if there are too many."""
        most = self.most_requests if _is_here(address) else self.most_of_one
        if (
            self._requests.total() >= self.most_requests
            or self._requests[address] >= most
        ):
            self.turned_away += 1
            self._log.warning(
                # Cause: The page's process may not open more files. Those who look at
                #   it already go on; others get a 503 and try again by themselves.
                # Remedy: Raise the hard limit of open files (`ulimit -Hn`) and start
                #   again.
                "%d viewers, as many as the page may have: others are turned away",
                self._requests.total(),
            )
            return False
        self._requests[address] += 1
        return True

    def end(self, address: str) -> None:
        self._requests[address] -= 1
        if not self._requests[address]:
            del self._requests[address]

    async def keep_moving(self) -> None:
        """Close connections that wait or are stuck for too long, until cancelled."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for connection, since in list(self._waiting.items()):
                if now - since < WAIT_SECONDS:
                    break
                self._close(connection, "no request")
            for connection in list(self._open):
                if not connection.is_stuck:
                    self._stuck.pop(connection, None)
                elif now - self._stuck.setdefault(connection, now) > STUCK_SECONDS:
                    self._close(connection, "not read")

    def _close(self, connection: "Connection", reason: str) -> None:
        self.closed[reason] += 1
        self.lost(connection)
        connection.transport.abort()


class PageConfig(Config):
    """uvicorn's configuration, with the protocol that counts connections."""

    def __init__(self, app: ASGIApp, connections: Connections, **settings: Any) -> None:
        super().__init__(app, http=Connection, backlog=connections.accepts, **settings)
        self.connections = connections


class PageServer(Server):
    """uvicorn's server, with a listen queue longer than it accepts at once."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(_QUEUE)


class Connection(H11Protocol):
    """uvicorn's protocol for one connection, with the time limits that it lacks.

    The size of a request's head is limited by h11 itself.
    """

    def __init__(self, config: PageConfig, *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self._all = config.connections

    @property
    def is_stuck(self) -> bool:
        """True while nothing can happen until the client reads or the connection
        closes.
        """
        return self.flow.write_paused or self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._all.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.lost(self)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._all.works(self)

    def on_response_complete(self) -> None:
        self._all.waits(self)
        super().on_response_complete()


class Doorkeeper:
    """Middleware that answers with 503 when there are too many requests."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app = app
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        address = (scope["client"] or ("",))[0]
        if not self._connections.begin(address):
            refusal = PlainTextResponse(
                "The page has as many viewers as it may: try again in a while.\n",
                503,
                {"Retry-After": str(RETRY_SECONDS), "Connection": "close"},
            )
            await refusal(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._connections.end(address)


def allow_files() -> int:
    """Raise this process's limit of open files as far as needed; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # macOS reports a hard limit above the one that it really has
        return soft
    return wanted


def _is_here(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True
