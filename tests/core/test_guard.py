"""Web pages of other origins are kept out; programs, and a service's own pages, are let in."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from headrace.core.guard import guarded
from headrace.core.hosts import allowed_hosts, reachable
from headrace.core.settings import Settings
from tests import asgi

FOREIGN = ("http://evil.test", "http://localhost:5000", "https://localhost:4321.evil.test", "null")
OTHER_NAMES = ("evil.test:4321", "10.evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "", "@")


async def page(request: Request) -> Response:
    return PlainTextResponse("done")


async def web_socket(asked: WebSocket) -> None:
    await asked.accept()


@pytest.fixture(scope="module")
def app() -> Any:
    routes = [Route("/", page, methods=["GET", "POST", "DELETE"]), WebSocketRoute("/socket", web_socket)]
    return guarded(Starlette(routes=routes), allowed_hosts("127.0.0.1"))


@pytest.mark.parametrize("host", ["localhost:4321", "127.0.0.1:4321", "[::1]:4321", "LOCALHOST"])
def test_a_service_answers_to_its_own_names(app: Any, host: str) -> None:
    assert asgi.status(app, host=host) == 200
    assert asgi.accepts(app, "/socket", host=host)


@pytest.mark.parametrize("host", OTHER_NAMES)
def test_after_rebinding_it_does_not(app: Any, host: str) -> None:
    assert asgi.status(app, host=host) == 400
    assert not asgi.accepts(app, "/socket", host=host)


def test_programs_and_its_own_pages_may_change_something(app: Any) -> None:
    assert asgi.status(app, method="POST") == 200
    assert asgi.status(app, method="POST", origin="http://localhost:4321") == 200
    assert asgi.status(app, method="POST", origin="http://localhost:4321", sec_fetch_site="same-origin") == 200
    # behind a proxy that rewrites the Host header, where the browser tells who asks
    assert asgi.status(app, method="POST", origin="https://headrace.example", sec_fetch_site="same-origin") == 200


@pytest.mark.parametrize("origin", FOREIGN)
def test_foreign_pages_may_not(app: Any, origin: str) -> None:
    for method in ("POST", "DELETE"):
        assert asgi.status(app, method=method, origin=origin) == 403
        assert asgi.status(app, method=method, origin=origin, sec_fetch_site="cross-site") == 403
        assert asgi.status(app, method=method, sec_fetch_site="same-site") == 403


def test_what_a_foreign_page_asks_for_it_cannot_read(app: Any) -> None:
    headers, body = asgi.answer(app, origin="http://evil.test", sec_fetch_site="cross-site")
    assert body == b"done"
    assert "access-control-allow-origin" not in headers
    assert headers["x-frame-options"] == "SAMEORIGIN"


def test_web_sockets_are_held_to_it_too(app: Any) -> None:
    assert asgi.accepts(app, "/socket")
    assert asgi.accepts(app, "/socket", origin="http://localhost:4321")
    assert not any(asgi.accepts(app, "/socket", origin=origin) for origin in FOREIGN)


def test_names_follow_where_a_service_listens() -> None:
    assert allowed_hosts("127.0.0.1") == ("localhost", "127.0.0.1", "[::1]")
    assert allowed_hosts("Lab.example", ["proxy.example"])[3:] == ("lab.example", "proxy.example")
    assert allowed_hosts("fd00::7")[3:] == ("[fd00::7]",)
    everywhere = allowed_hosts("0.0.0.0")
    assert socket.gethostname().lower() in everywhere
    assert not {"0.0.0.0", "*"} & set(everywhere)
    assert (reachable("0.0.0.0"), reachable("::1"), reachable("lab")) == ("127.0.0.1", "[::1]", "lab")


def test_further_names_are_a_setting() -> None:
    chosen = Settings(allowed_hosts=" a.example, b.example,,")
    assert {"a.example", "localhost"} <= set(chosen.hosts)
    assert "" not in chosen.hosts
