"""Which names a request may address this server by: what stands between it and DNS rebinding.

A web page of a foreign site can point its own name at 127.0.0.1. The browser then lets it read our answers, for page
and API have one origin; but it sends that name as the Host header, and such a request is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.api.errors import failure


class HostCheck:
    """ASGI middleware: a request with another Host header, or not exactly one, is refused.

    hosts: as `core.hosts.allowed_hosts` returns them, IPv6 addresses in brackets; `*` is any. Starlette's own
    TrustedHostMiddleware reads the first of several headers, and answers in another form than our errors have.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if len(given) != 1 or not self._allows(given[0]):
                await _refusal(given)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _allows(self, header: str) -> bool:
        name, separator, port = header.lower().rpartition(":")
        if not separator or port.endswith("]"):
            name, port = header.lower(), "0"
        return port.isascii() and port.isdigit() and bool(self._hosts & {name, "*"})


def _refusal(given: list[str]) -> ASGIApp:
    fix = "address it by the name that it listens on, or add yours to HEADRACE_ALLOWED_HOSTS"
    return failure(400, "wrong_host", "the Host header is not a name of this server", found=given, fix=fix)
