"""`python -m headrace.store.ui`: Feast's pages, read-only and behind `headrace.core.guard`.

`feast ui` serves the same application without checks of the Host header and the origin of requests, and with endpoints
that write. Headrace's flows write the store; nobody does through its pages.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.core.guard import guarded
from headrace.core.settings import settings
from headrace.store.repo import PROJECT, open_store

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class ReadOnly:
    """ASGI middleware that refuses every request which may change something."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" or (scope["type"] == "http" and scope["method"] not in _READING):
            await PlainTextResponse("these pages are read-only\n", status_code=405)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve Feast's pages until stopped."""
    configuration = settings()
    parser = argparse.ArgumentParser(prog="python -m headrace.store.ui", description=main.__doc__)
    parser.add_argument("--host", default=configuration.host, help="HEADRACE_HOST")
    parser.add_argument("--port", type=int, default=configuration.feast_port, help="HEADRACE_FEAST_PORT")
    options = parser.parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Feast's use of FastAPI
        from feast.ui_server import get_app

        pages = get_app(open_store(configuration.root), PROJECT)
    uvicorn.run(guarded(ReadOnly(pages), configuration.hosts), host=options.host, port=options.port)


if __name__ == "__main__":
    main()
