"""`python -m firstclick.dashboard.server`: serve the page until SIGTERM or SIGINT."""

import asyncio
import errno
import logging
import socket
import sys

from firstclick.core.environment import forget_libpq
from firstclick.core.errors import FirstClickError, ServerError, SettingsError
from firstclick.core.logging import configure
from firstclick.core.settings import Settings
from firstclick.core.signals import on_signals
from firstclick.dashboard.definition import load_all
from firstclick.dashboard.server.board import Board
from firstclick.dashboard.server.connections import (
    Connections,
    PageConfig,
    PageServer,
    allow_files,
)
from firstclick.dashboard.server.database import Database, DatabaseUnavailable
from firstclick.dashboard.server.metrics import Exposition
from firstclick.dashboard.server.web import application

_CLOSING_SECONDS = 2
"""How long open streams may take to end when the server stops."""


def main() -> int:
    """Serve the page and return the exit status. Logs to stderr, an error last."""
    log = configure("live")
    forget_libpq()
    try:
        # uvicorn installs its own handlers while it serves, then raises the signal
        # again. This handler keeps that second signal from killing the process.
        with on_signals(lambda: None):
            asyncio.run(_serve(Settings.load(), log))
    except FirstClickError as error:
        log.error("%s", error)
        return 1
    log.info("stopped")
    return 0


async def _serve(settings: Settings, log: logging.Logger) -> None:
    if settings.database_url is None:
        raise SettingsError(
            "DATABASE_URL is not set: expected the database for the role that the "
            "dashboards read by, as firstclick env --role grafana prints it"
        )
    token = _token(settings)
    directory = settings.project / "grafana" / "dashboards"
    dashboards = load_all(directory)
    if not dashboards:
        raise ServerError(
            f"{directory} has no dashboard, expected one: copy one there from what "
            "`firstclick init` writes"
        )
    database = Database(settings.database_url, log, settings.target)
    board = Board(dashboards, database, settings.schema_name, log)
    connections = Connections(log, allow_files())
    exposition = Exposition(board, connections, settings.schema_name, settings.metrics)
    with _listen(settings.live_host, settings.live_port or 0) as listening:
        port: int = listening.getsockname()[1]
        server = PageServer(
            PageConfig(
                application(
                    board, exposition, connections, settings.live_host, port, token
                ),
                connections,
                access_log=False,
                log_config=None,
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=_CLOSING_SECONDS,
                ws="none",
            )
        )
        try:
            await database.connect()
        except DatabaseUnavailable:
            log.warning("the page is served all the same, and says so")
        log.info("serving on http://%s:%d", _in_url(settings.live_host), port)
        moving = asyncio.create_task(connections.keep_moving())
        await server.serve([listening])
        moving.cancel()
        await database.close()


def _token(settings: Settings) -> str | None:
    if settings.live_is_private:
        return None
    if settings.live_token is None:
        raise SettingsError(
            f"FIRSTCLICK_LIVE_HOST is {settings.live_host}, which others can reach, "
            "and FIRSTCLICK_LIVE_TOKEN is not set: set it, or listen on 127.0.0.1"
        )
    return settings.live_token


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=256,
        )
    except OSError as error:
        where = f"{_in_url(host)}:{port}"
        if error.errno == errno.EADDRINUSE:
            raise ServerError(
                f"{where} is taken: set FIRSTCLICK_LIVE_PORT to a free port"
            ) from error
        raise ServerError(
            f"the page can't be served on {where}, {error.strerror}: set "
            "FIRSTCLICK_LIVE_HOST to an address of this machine"
        ) from error


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
