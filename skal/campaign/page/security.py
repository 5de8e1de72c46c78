"""Who may ask for what: only this machine, or who has the token, and no page of another site."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MONTH = 30 * 24 * 3600


class Guard:
    """Refuses what no page of ours would send, and puts its headers on every response.

    Parameters
    ----------
    app : ASGI application
    hosts : iterable of str, default=None
        Names by which browsers may address the server; numeric addresses always are welcome then. None welcomes only
        the loopback address and its names. A foreign name that points here (DNS rebinding) is none of these.
    token : str, default=None
        What the URL has to hold once, and a cookie after that.
    cookie : str, default="skal"
        The name of the cookie.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str] | None = None,
        token: str | None = None,
        cookie: str = "skal",
    ) -> None:
        self._app, self._token, self._cookie = app, token, cookie
        self._hosts = None if hosts is None else {each.lower() for each in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        response = self._refusal(scope)
        await (self._app if response is None else response)(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_welcome(host):
            return _forbidden(
                f"{host[:100]!r} is no name of this server; use the address that the terminal shows."
            )
        if origin is not None and not _is_of(origin, host):
            return _forbidden("Another site asked; open the page itself.")
        is_visit = headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_visit:
            return _forbidden("Another site asked; open the page itself.")
        return None if self._token is None else self._without_token(scope, headers)

    def _is_welcome(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in LOOPBACK:
            return True
        return self._hosts is not None and (name in self._hosts or _is_address(name))

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        given = [value for name, value in query if name == "token"]
        if given and scope["method"] == "GET" and self._is_token(given[0]):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            path = "/" + scope["path"].lstrip("/")  # two slashes would begin with another host
            response = RedirectResponse(path + (f"?{rest}" if rest else ""), status_code=303)
            # Lax: a link in a message opens the page, and no other site can post to it.
            response.set_cookie(self._cookie, given[0], max_age=_MONTH, httponly=True, samesite="lax")
            return response
        if self._is_token(_cookie(headers, self._cookie)):
            return None
        return _forbidden("Open the page by the link that the terminal shows: it has a token.")

    def _is_token(self, given: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(given.encode(), self._token.encode())


def names_of_this_machine() -> set[str]:
    """The names by which others in the network may address this machine."""
    name = socket.gethostname()
    return {name, f"{name}.local", socket.getfqdn()}


def _is_of(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _cookie(headers: Headers, name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _forbidden(reason: str) -> Response:
    return PlainTextResponse(f"Refused. {reason}\n", status_code=403)
