"""The page's routes: HTML, files, streams of values, health and metrics."""

from collections.abc import AsyncIterator, Callable

import msgspec
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from firstclick.dashboard.definition import Dashboard
from firstclick.dashboard.definition.model import Custom
from firstclick.dashboard.server import page
from firstclick.dashboard.server.access import HEALTH, AccessControl
from firstclick.dashboard.server.assets import STATIC, ECharts
from firstclick.dashboard.server.board import SPAN, Board
from firstclick.dashboard.server.connections import Connections, Doorkeeper
from firstclick.dashboard.server.metrics import Exposition

_SILENCE = 3.0
"""Seconds without news after which a stream sends a beat, to show that it is alive."""


class Site:
    """The handlers of the page's routes."""

    def __init__(self, board: Board, echarts: ECharts, exposition: Exposition) -> None:
        self._board = board
        self._exposition = exposition
        self._echarts = echarts

    async def home(self, request: Request) -> Response:
        first = next(iter(self._board.dashboards))
        return RedirectResponse(request.url_for("page", uid=first).path)

    async def page(self, request: Request) -> Response:
        dashboard = self._dashboard(request)
        text = page.render(
            dashboard,
            self._board.dashboards,
            _span(dashboard),
            _chosen(request, dashboard),
            self._echarts.url,
        )
        return HTMLResponse(text)

    async def grid(self, request: Request) -> Response:
        dashboard = self._dashboard(request)
        return Response(page.grid(dashboard), media_type="text/css")

    async def values(self, request: Request) -> Response:
        dashboard = self._dashboard(request)
        chosen = _chosen(request, dashboard)

        async def messages() -> AsyncIterator[bytes]:
            async with self._board.watch(dashboard, chosen) as watcher:
                async for message in watcher.messages(_SILENCE):
                    yield message

        return EventSourceResponse(messages(), ping=0)

    async def health(self, request: Request) -> Response:
        body = msgspec.json.encode(self._board.counts)
        return Response(body, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        accepted = request.headers.get("accept", "")
        body, media_type = await self._exposition.text(accepted)
        return Response(body, headers={"Content-Type": media_type})

    def _dashboard(self, request: Request) -> Dashboard:
        uid = request.path_params["uid"]
        dashboard = self._board.dashboards.get(uid)
        if dashboard is None:
            known = ", ".join(self._board.dashboards)
            raise HTTPException(404, f"no dashboard {uid!r}, expected one of {known}")
        return dashboard


def application(
    board: Board,
    exposition: Exposition,
    connections: Connections,
    host: str,
    port: int,
    token: str | None,
) -> Starlette:
    """Return the application for this host and port; ``token`` is None on loopback.

    Raises ServerError if ECharts is missing.
    """
    echarts = ECharts()
    site = Site(board, echarts, exposition)
    routes: list[tuple[str, Callable[[Request], object]]] = [
        ("/", site.home),
        ("/d/{uid}", site.page),
        ("/d/{uid}/grid.css", site.grid),
        ("/d/{uid}/values", site.values),
        (HEALTH, site.health),
        ("/metrics", site.metrics),
        ("/vendor/echarts/{version}/{name}", echarts.serve),
    ]
    return Starlette(
        routes=[
            *(Route(path, answer) for path, answer in routes),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(AccessControl, host=host, port=port, token=token),
            Middleware(Doorkeeper, connections=connections),
        ],
        exception_handlers={HTTPException: _in_a_line},
    )


async def _in_a_line(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(error.detail + "\n", error.status_code, error.headers)


def _span(dashboard: Dashboard) -> Custom | None:
    span = dashboard.variables.get(SPAN)
    return span if isinstance(span, Custom) else None


def _chosen(request: Request, dashboard: Dashboard) -> str:
    span = _span(dashboard)
    if span is None:
        return ""
    chosen = request.query_params.get(f"var-{SPAN}", span.current.value)
    offered = [option.value for option in span.options]
    if chosen not in offered:
        expected = ", ".join(offered)
        raise HTTPException(
            400, f"var-{SPAN} is {chosen!r}, expected one of {expected}"
        )
    return chosen
