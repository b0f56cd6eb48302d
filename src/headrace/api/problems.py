"""One server for several problems: each problem's application below `/problems/NAME`, the first also at the root."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.api.access.check import AccessCheck
from headrace.api.access.control import AccessControl
from headrace.api.hosts import HostCheck
from headrace.core.hosts import LOOPBACK

_PREFIX = "/problems/"


class ProblemsApp:
    """ASGI application that passes a request to the application of its problem; `GET /problems` lists them.

    Starlette's Mount would do the same after its routing, for every request.

    Args:
        apps: Problem -> its application, the one at the root first.
        hosts: Names that a request may address the server by.
        access: Demands API keys for the list; the applications have it too.
    """

    def __init__(
        self, apps: Mapping[str, FastAPI], *, hosts: Iterable[str] = LOOPBACK, access: AccessControl | None = None
    ) -> None:
        self._apps: dict[str, ASGIApp] = dict(apps)
        self._root: ASGIApp = next(iter(apps.values()))
        listed = [{"name": name, "path": f"{_PREFIX}{name}"} for name in apps]

        async def problems(request: Request) -> JSONResponse:
            key = request.scope.get("headrace.key")
            return JSONResponse({"problems": [one for one in listed if key is None or key.allows(one["name"])]})

        @asynccontextmanager
        async def lifetime(app: Starlette) -> AsyncIterator[None]:
            async with AsyncExitStack() as stack:
                for own in apps.values():
                    await stack.enter_async_context(own.router.lifespan_context(own))
                yield

        middleware = [Middleware(HostCheck, hosts=hosts)]
        if access is not None:
            middleware.append(Middleware(AccessCheck, control=access, problem=None))
        self._own = Starlette(routes=[Route("/problems", problems)], middleware=middleware, lifespan=lifetime)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/problems":
            await self._own(scope, receive, send)
            return
        name, slash, _ = scope["path"].removeprefix(_PREFIX).partition("/")
        if scope["path"].startswith(_PREFIX) and slash and name in self._apps:
            await self._apps[name](dict(scope, root_path=f"{_PREFIX}{name}"), receive, send)
        else:
            await self._root(scope, receive, send)
