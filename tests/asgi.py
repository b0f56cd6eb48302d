"""Ask an ASGI application without a server or its lifespan: one request, or one WebSocket handshake."""

from __future__ import annotations

import asyncio
from typing import Any


def status(app: Any, path: str = "/", *, method: str = "GET", body: bytes = b"", **headers: str) -> int:
    """The status of an HTTP answer. headers: with `_` for `-`."""
    sent = _ask(
        app, {"type": "http", "method": method, **_scope(path, headers)}, {"type": "http.request", "body": body}
    )
    return int(sent[0]["status"])


def answer(app: Any, path: str = "/", **headers: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of the answer to GET."""
    sent = _ask(app, {"type": "http", "method": "GET", **_scope(path, headers)}, {"type": "http.request"})
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return told, b"".join(one.get("body", b"") for one in sent[1:])


def accepts(app: Any, path: str, *, subprotocols: tuple[str, ...] = (), **headers: str) -> bool:
    """Whether a WebSocket is accepted; what the application does with it after that does not matter."""
    scope = {"type": "websocket", "subprotocols": list(subprotocols), **_scope(path, headers)}
    sent = _ask(app, scope, {"type": "websocket.connect"}, until="websocket.accept")
    return sent[-1]["type"] == "websocket.accept"


class _EnoughError(Exception):
    """What was asked for has been sent."""


def _ask(app: Any, scope: dict[str, Any], first: dict[str, Any], until: str = "") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    left = [first]

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.sleep(60)
        return left.pop()

    async def send(message: Any) -> None:
        sent.append(dict(message))
        if message["type"] == until:
            raise _EnoughError

    async def ask() -> None:
        try:
            await app(scope, receive, send)
        except _EnoughError:
            return

    asyncio.run(ask())
    return sent


def _scope(path: str, headers: dict[str, str]) -> dict[str, Any]:
    host = headers.setdefault("host", "localhost:4321")
    return {
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": (host, 4321),
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }
