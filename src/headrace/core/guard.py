"""What every local service checks before a request reaches it: the Host header, and that no foreign web page sent it.

Any web page can make a browser send requests to a port of the browser's machine. Two checks keep pages out, and cost
programs and people nothing:

- Host. After DNS rebinding a page at `evil.example` reaches a service as its own origin, but its requests still carry
  `Host: evil.example`. Only the names that the service is known by are let in.
- Origin. A request that changes something (any method but GET, HEAD and OPTIONS), and every WebSocket, is let in when
  its browser says that it comes from the service's own pages, or when no browser sent it. The rule is that of Go's
  `net/http.CrossOriginProtection`: Sec-Fetch-Site, and for browsers that send none, Origin beside Host.

Pages may be framed by the service's own pages only, so that no foreign page can lay one below a click.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED = "refused: this request comes from a web page of another origin\n"


def guarded(app: ASGIApp, hosts: Iterable[str], *, frames: bool = False) -> ASGIApp:
    """An application behind both checks.

    Args:
        app: Any ASGI application.
        hosts: As `core.hosts.allowed_hosts` returns them.
        frames: Whether the application says itself who may frame its pages.
    """
    return TrustedHostMiddleware(NoForeignPages(app, frames=frames), allowed_hosts=list(hosts), www_redirect=False)


class NoForeignPages:
    """ASGI middleware that refuses what a page of another origin sends, and lets none frame the answer.

    refusal: answers such a request, with 403. frames: whether the application says itself who may frame its answers.
    """

    def __init__(self, app: ASGIApp, refusal: ASGIApp | None = None, *, frames: bool = False) -> None:
        self.app = app
        self.frames = frames
        self.refusal = refusal or PlainTextResponse(_REFUSED, status_code=403)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif _is_foreign(scope):
            await self.refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send if self.frames else _without_frames(send))


def _is_foreign(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    if scope["type"] == "http" and scope["method"] in _SAFE:
        return False
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    # "null" is what sandboxed frames and file:// pages send; it has no network location either.
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _without_frames(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("x-frame-options", "SAMEORIGIN")
        await send(message)

    return sending
