"""What one connection may hold and how long it may take: uvicorn's HTTP protocol with the limits that it lacks.

uvicorn ends a connection that is idle between requests, and pauses one whose body is not read. It waits for ever for
the first request, for a header or a body that never ends and for a client that does not read its answer, and it keeps
headers of any length. Its `limit_concurrency` counts such connections: a client with a few blocks all others. Here

- a head has `head_s` seconds and `head_bytes` bytes, a request `request_s` seconds, an answer `answer_s` to be read;
- beyond `connections` the connection that has waited longest for its client makes room for the new one;
- the system holds few bytes that were not read yet, for all that it holds of all connections is read at once: a
  connection has its part of `receive_bytes` when it is made, as many as are open then;
- a connection that has sent `pipelined` requests before the answer to its first one ends.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headrace.api.errors import failure

#: Bytes that one connection's part is never below and never above.
_LEAST_PART, _LARGEST_PART = 16 * 1024, 128 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one connection, but for `connections`, their number, and `receive_bytes`, of all of them."""

    head_s: float = 10.0
    head_bytes: int = 32 * 1024
    request_s: float = 30.0
    answer_s: float = 30.0
    connections: int = 500
    receive_bytes: int = 2 * 1024 * 1024
    pipelined: int = 16


class LimitedProtocol(HttpToolsProtocol):
    """A connection within limits. A server with others runs a subclass with `limits` and `waiting` of its own.

    waiting: the connections from which the rest of a request, or a new one, has to come; the longest wait first.
    """

    limits: ClassVar[Limits] = Limits()
    waiting: ClassVar[dict[LimitedProtocol, None]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        part = min(max(self.limits.receive_bytes // len(self.connections), _LEAST_PART), _LARGEST_PART)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, part)
        if len(self.connections) > self.limits.connections:
            oldest = next(iter(self.waiting), self)
            oldest.waiting.pop(oldest, None)
            oldest.transport.abort()
        self.waiting[self] = None
        self._expect(self.limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.pop(self, None)
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and self.cycle is not None and self.cycle.response_complete:
            self._expect(self.limits.head_s)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.limits.head_bytes and not self.transport.is_closing():
            self._refuse(431, "too_large", "the headers are too large")

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= self.limits.pipelined:
            raise OverflowError("too many requests before the first answer")  # ends in send_400_response
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._expect(self.limits.request_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._expect(None)
        self.waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.waiting[self] = None
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that does not read its answer would otherwise be flushed for ever."""
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self.limits.answer_s, self.transport.abort)
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn answers to bytes that are no HTTP, in our form; never in place of another request's answer."""
        cycle = self.cycle
        own = cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started)
        if own and not self.pipeline:
            self._refuse(400, "bad_request", "this is no valid HTTP request")
        else:
            self.transport.abort()

    def _expect(self, within_s: float | None) -> None:
        """Let the next step of the request come within so many seconds; None: nothing is waited for."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if within_s is None else self.loop.call_later(within_s, self._too_slow)

    def _too_slow(self) -> None:
        self._deadline = None
        if self._head_bytes and self._in_head:
            self._refuse(408, "too_slow", "the request did not arrive in time")
        else:
            self.transport.abort()

    def _refuse(self, status: int, code: str, what: str) -> None:
        answer = failure(status, code, what, headers={"Connection": "close"})
        head: list[Any] = [b"HTTP/1.1 %d \r\n" % status]
        head += [b"%s: %s\r\n" % header for header in answer.raw_headers]
        self.transport.write(b"".join([*head, b"\r\n", bytes(answer.body)]))
        self.transport.close()
