"""The files that a browser loads: our own, and the charts' library from its wheel."""

import gzip
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from firstclick.core.errors import ServerError

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"

_FOR_EVER = "public, max-age=31536000, immutable"


class ECharts:
    """ECharts as a module, which the wheel of NiceGUI carries.

    Looked up without importing NiceGUI, which takes a second.
    """

    def __init__(self) -> None:
        """Raises ServerError where it is missing."""
        try:
            wheel = distribution("nicegui")
        except PackageNotFoundError as error:
            raise ServerError(
                "nicegui is not installed, expected it for its ECharts: install the "
                "requirements anew"
            ) from error
        self.version = wheel.version
        self._directory = Path(
            str(wheel.locate_file("nicegui/elements/echart/dist"))
        ).resolve()
        if not (self._directory / "index.js").is_file():
            raise ServerError(
                f"{self._directory} has no index.js, expected nicegui's ECharts: "
                "install the requirements anew"
            )

    @property
    def url(self) -> str:
        return f"/vendor/echarts/{self.version}/index.js"

    @cached_property
    def _compressed(self) -> dict[str, bytes]:
        return {}

    async def serve(self, request: Request) -> Response:
        """Answer with a file; its address holds the version, so it never changes."""
        name = request.path_params["name"]
        path = self._directory / name
        if request.path_params["version"] != self.version or not path.is_file():
            return PlainTextResponse("no such file\n", 404)
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            if name not in self._compressed:
                self._compressed[name] = gzip.compress(path.read_bytes(), 6)
            body = self._compressed[name]
        else:
            body = path.read_bytes()
        return Response(body, media_type="text/javascript", headers=headers)
