"""The files that a browser loads: this package's own, and ECharts."""

import gzip
from functools import cached_property
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from firstclick.core.errors import ServerError

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"

VENDOR = Path(__file__).parent / "vendor" / "echarts"
_MODULE = VENDOR / "echarts.esm.min.mjs"

_FOR_EVER = "public, max-age=31536000, immutable"


class ECharts:
    """ECharts as one JavaScript module, which the package's build has fetched."""

    def __init__(self) -> None:
        """Find ECharts. Raises ServerError if the package was built without it."""
        try:
            pin = msgspec.json.decode((VENDOR / "echarts.json").read_bytes())
        except FileNotFoundError as error:
            raise ServerError(
                f"{VENDOR} has no ECharts, expected the build to have fetched it: "
                "install First Click again"
            ) from error
        self.version: str = pin["version"]

    @property
    def url(self) -> str:
        """The module's address on this server. It changes with ECharts' version."""
        return f"/vendor/echarts/{self.version}/{_MODULE.name}"

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(_MODULE.read_bytes(), 6)

    async def serve(self, request: Request) -> Response:
        """Answer with the module. Browsers cache it forever under its versioned
        address.
        """
        if request.url.path != self.url:
            return PlainTextResponse("no such file\n", 404)
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = self._compressed
        else:
            body = _MODULE.read_bytes()
        return Response(body, media_type="text/javascript", headers=headers)
