"""Control access to the page, and limit its power in the browser by HTTP headers."""

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

HEALTH = "/health"
"""The path that needs no token, so that whoever started the page can see it is
ready.
"""

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class AccessControl:
    """Lets a request through if it uses one of the page's names or has the token.

    Without a token the page listens on loopback only. There another name in `Host`
    means DNS rebinding: a foreign site made its own name resolve to this machine. With
    a token, a browser sends it once as ``?token=`` and then as a cookie; a program
    sends it as a bearer token.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, token: str | None) -> None:
        self._app = app
        self._names = (*_LOOPBACK, host, f"[{host}]")
        self._cookie = f"firstclick-live-{port}"
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        site = headers.get("sec-fetch-site", "none")
        # Covers same-site too: another port of this machine is another program
        if site.endswith("-site") and headers.get("sec-fetch-mode") != "navigate":
            return _no(403, "another site may not read this: open it by itself")
        if self._token is not None:
            if scope["path"] == HEALTH:
                return None
            return self._ask_token(scope, headers, self._token)
        name = headers.get("host", "").lower()
        if name.rpartition("]")[2].rpartition(":")[1]:
            name = name.rpartition(":")[0]
        if name not in self._names:
            return _no(421, f"expected {_LOOPBACK[1]} as the address: open it by that")
        return None

    def _ask_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        given = next((value for name, value in query if name == "token"), None)
        if given is not None and _equal(given, token):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            answer = RedirectResponse(scope["path"] + ("?" + rest if rest else ""), 303)
            answer.set_cookie(self._cookie, token, httponly=True, samesite="lax")
            return answer
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _equal(bearer.strip(), token):
            return None
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return _no(401, "the cookies can't be read: remove them")
        if self._cookie in cookies and _equal(cookies[self._cookie].value, token):
            return None
        # Cause: Other machines can reach the page, so it asks for its token.
        # Remedy: Open the address that `firstclick up` printed. A program sends
        #   `Authorization: Bearer …`.
        return _no(401, "expected the token: open the address that the start printed")


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _no(status: int, reason: str) -> Response:
    return PlainTextResponse(reason + "\n", status)
