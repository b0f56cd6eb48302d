"""Read the JSON body of a request within limits of size and time, and parse it strictly.

Reading: one body has a maximum size and time, and all incomplete bodies have a maximum total size. Beyond it the
largest incomplete bodies are aborted, so that many unfinished ones do not block a small one.

Parsing: UTF-8; no NaN or Infinity; no duplicate names in an object, which parsers resolve differently.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from headrace.api.errors import RequestRefused

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_ARRIVING_BYTES = 8 * 1024 * 1024
ARRIVAL_S = 10.0


@dataclass(eq=False)
class _IncomingBody:
    """One incomplete body. deadline: aborts its reading. evicted: aborted because of the total size."""

    deadline: asyncio.Timeout
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    evicted: bool = False


class BodyReader:
    """Reads the bodies of all requests of one application, on its event loop.

    Args:
        max_bytes: of one body.
        max_arriving_bytes: of all bodies together that have not arrived yet.
        arrival_s: seconds that a body may take.
    """

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        max_arriving_bytes: int = MAX_ARRIVING_BYTES,
        arrival_s: float = ARRIVAL_S,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_arriving_bytes = max_arriving_bytes
        self._arrival_s = arrival_s
        self._arriving: set[_IncomingBody] = set()

    async def read(self, request: Request) -> bytes:
        """A request's whole body. Raises Refused (408, 413, 503) where it exceeds a limit."""
        self._check_declared(request)
        try:
            async with asyncio.timeout(self._arrival_s) as deadline:
                body = _IncomingBody(deadline)
                self._arriving.add(body)
                try:
                    return await self._collect(request, body)
                finally:
                    self._arriving.discard(body)
        except TimeoutError:
            raise self._ended(body) from None
        except ClientDisconnect:
            raise RequestRefused(400, "unfinished", "the connection ended before the body did", close=True) from None

    async def _collect(self, request: Request, body: _IncomingBody) -> bytes:
        async for chunk in request.stream():
            body.size += len(chunk)
            if body.size > self._max_bytes:
                raise self._too_large()
            body.chunks.append(chunk)
            self._evict_largest()
        return b"".join(body.chunks)

    def _evict_largest(self) -> None:
        """Abort the largest incomplete bodies until the total size is within its limit."""
        incoming = [body for body in self._arriving if not body.evicted]
        excess = sum(body.size for body in incoming) - self._max_arriving_bytes
        if excess <= 0:
            return
        for body in sorted(incoming, key=lambda item: item.size, reverse=True):
            body.evicted = True
            body.deadline.reschedule(asyncio.get_running_loop().time())
            excess -= body.size
            if excess <= 0:
                return

    def _check_declared(self, request: Request) -> None:
        declared = request.headers.get("content-length", "0")
        if not (declared.isascii() and declared.isdigit()) or int(declared) > self._max_bytes:
            raise self._too_large()

    def _too_large(self) -> RequestRefused:
        found = [f"the limit is {self._max_bytes:,} bytes"]
        return RequestRefused(413, "too_large", "the body is too large", found=found, fix="send fewer rows at once")

    def _ended(self, body: _IncomingBody) -> RequestRefused:
        if body.evicted:
            return RequestRefused(
                503, "busy", "too many large bodies arrive at once", fix="send it again later", close=True
            )
        found = [f"{body.size:,} bytes came in {self._arrival_s:g} s"]
        return RequestRefused(408, "too_slow", "the body did not arrive in time", found=found, close=True)


def json_route(reader: BodyReader) -> type[APIRoute]:
    """Return FastAPI's route class with this module's reading and parsing of bodies."""

    class JsonRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def handle(request: Request) -> Response:
                require_json(request)
                return await answer(JsonRequest(request, await reader.read(request)))

            return handle

    return JsonRoute


class JsonRequest(Request):
    """A request whose body is read already."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._read = body

    async def body(self) -> bytes:
        """The body's bytes."""
        return self._read

    async def json(self) -> Any:
        """The body's value. Raises Refused."""
        return parse_json(self._read)


def require_json(request: Request) -> None:
    """Raise Refused (415) unless the body is declared as plain JSON.

    A page of a foreign origin can send text/plain or a form without asking; JSON it has to ask for, and is not given.
    """
    kinds = request.headers.getlist("content-type")
    coding = request.headers.get("content-encoding", "identity")
    if len(kinds) == 1 and kinds[0].partition(";")[0].strip().lower() == "application/json" and coding == "identity":
        return
    fix = "send Content-Type: application/json, and no Content-Encoding"
    raise RequestRefused(415, "unsupported_media_type", "the body must be declared as JSON", found=kinds, fix=fix)


def parse_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Refused (422) for what is no JSON, or is read differently by other readers."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise _invalid("the body is not valid JSON", fix="send UTF-8 encoded JSON") from None
    except json.JSONDecodeError as error:
        raise _invalid(f"the body is not valid JSON: {error.msg}, at character {error.pos}") from None
    except RecursionError:
        raise _invalid("the body is nested too deeply") from None
    except ValueError:
        raise _invalid("the body is not valid JSON: a number has too many digits") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise _invalid("a name stands twice in one object", found=[duplicate], fix="send each name once")
    return value


def _no_constant(name: str) -> Any:
    raise _invalid(f"the body is not valid JSON: {name} is no JSON number", fix="send null where there is no number")


def _invalid(what: str, **more: Any) -> RequestRefused:
    return RequestRefused(422, "bad_request", what, **more)
