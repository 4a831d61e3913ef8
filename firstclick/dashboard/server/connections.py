"""How many connections the page has, and which it closes when there are too many.

A connection either works on a request or waits for one, from the first byte of its
address to the end of its head. To wait costs whoever connects nothing, so waiting ends:
after WAIT_SECONDS, or sooner where there are more connections than the page may have;
then the one that has waited longest goes. A viewer's stream is work and stays. So that
the page can always say something, not all connections may be viewers.
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
"""For the head of a request, however slowly it comes."""

STUCK_SECONDS = 15.0
"""For a reader to take what the page has sent, before it sends more or closes."""

RETRY_SECONDS = 10
"""When whoever is turned away should ask again."""

ALWAYS = ("/health", "/metrics")
"""Paths that are answered however many viewers there are."""

_MOST = 4000
_OWN_FILES = 64
_QUEUE = 1024


class Connections:
    """The connections that are open, and those of them that work."""

    def __init__(self, log: logging.Logger, files: int) -> None:
        """``files`` is how many this process may have open."""
        self.accepts = max(2, min(64, files // 64))
        """How many are taken at once; some times that before the first is counted."""
        self.most = max(8, min(_MOST, files - _OWN_FILES - 4 * self.accepts))
        self.most_requests = self.most - self.most // 8
        self.most_of_one = self.most_requests // 2
        """Requests of one address; of this machine, a proxy's, as many as of all."""
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
        """It waits from now on."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = time.monotonic()

    def works(self, connection: "Connection") -> None:
        self._waiting.pop(connection, None)

    def lost(self, connection: "Connection") -> None:
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        self._stuck.pop(connection, None)

    def begin(self, address: str) -> bool:
        """Count a request, unless there are too many."""
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
        """Close what waits or is stuck for too long, until cancelled."""
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
    """uvicorn's, with the connections that its protocol counts."""

    def __init__(self, app: ASGIApp, connections: Connections, **settings: Any) -> None:
        super().__init__(app, http=Connection, backlog=connections.accepts, **settings)
        self.connections = connections


class PageServer(Server):
    """uvicorn's, where more may queue than are taken at once."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(_QUEUE)


class Connection(H11Protocol):
    """uvicorn's protocol, which has no limits of time. h11 has one of a head's size."""

    def __init__(self, config: PageConfig, *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self._all = config.connections

    @property
    def is_stuck(self) -> bool:
        """Whether something is to be sent before anything else can happen."""
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
    """Turns requests away, and says so, where there are too many."""

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
    """Let this process have as many files open as it may need; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # macOS has a limit below the one that it tells
        return soft
    return wanted


def _is_here(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True
