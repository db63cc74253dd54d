"""What every answer and every request has in common: only GET, only for our own name, nothing inline, nothing foreign.

Rules of this file: it knows no page. The Host check stops a web site that points its own name at this address (DNS
rebinding) from reading alerts through a visitor's browser. The policy lets scripts and styles come from this server
only and none be inline, so markup that slipped into an alert's text could still not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.ASCII)


class Guard:
    """ASGI middleware around the whole page."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = LOOPBACK_HOSTS) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on one request, and put the headers on whatever is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                # Pages hold customers' alerts and are never kept; files with an ETag are asked about again each time.
                headers.setdefault("Cache-Control", "no-cache" if "ETag" in headers else "no-store")
            await send(message)

        app = self._refusal(scope) or self._app
        await app(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        came = Headers(scope=scope).getlist("host")
        found = _HOST.fullmatch(came[0].lower()) if len(came) == 1 else None
        if found is None or found[1] not in self._hosts:
            return PlainTextResponse(
                "421: this page is not served under the name that was asked for.\n"
                "Use its own address, or allow the name: [page] names in collector.toml.\n",
                status_code=421,
            )
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                "405: only GET is allowed, this page changes nothing.\n", 405, {"Allow": "GET, HEAD"}
            )
        return None
