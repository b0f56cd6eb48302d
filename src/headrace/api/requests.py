"""What is recorded about each request: its id, its span, its time and status, and a log line.

The id is that of the client (`X-Request-ID`) where it is valid, else a new one; the answer's header returns it, and
the prediction log and all log lines of the request contain it. Where spans are recorded (`telemetry.tracing`), the
request continues the trace of its `traceparent` header, and the answer's `traceresponse` header names its span.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.api.errors import unexpected
from headrace.api.metrics import Metrics
from headrace.serving.answers import ValidatedCall
from headrace.serving.batch_times import BatchTimes
from headrace.telemetry.fields import REQUEST_ID, request_id_of
from headrace.telemetry.logs import ACCESS
from headrace.telemetry.tracing import context_from_headers, is_tracing, record_span, span, trace_headers

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.trace import Span

REQUEST_ID_HEADER = b"x-request-id"
#: Label of requests that have no route.
_NO_ROUTE = "(other)"
#: FastAPI's own spans would be a second set without the fast path, and its log records contain values of requests.
NO_FASTAPI_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_access = logging.getLogger(ACCESS)


class ObservedRequests:
    """ASGI middleware around everything else of a problem's application.

    Args:
        app: The application.
        problem: Name of the problem.
        metrics: Counts the requests.
    """

    def __init__(self, app: ASGIApp, *, problem: str, metrics: Metrics) -> None:
        self._app = app
        self._problem = problem
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(_header(scope["headers"], REQUEST_ID_HEADER))
        REQUEST_ID.set(request_id)  # of this task, which is the request's own
        started, status, begun = time.perf_counter(), 500, False
        added = [(REQUEST_ID_HEADER, request_id.encode())]

        async def observed(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        with self._span(scope, request_id) as current:
            if current is not None:
                added.append((b"traceresponse", trace_headers().get("traceparent", "").encode()))
            try:
                await self._app(scope, receive, observed)
            except Exception as error:
                # Answered here, so that the answer and its log line have the ids; whoever is further out only logs it.
                if not begun:
                    await (await unexpected(Request(scope), error))(scope, receive, observed)
                raise
            finally:
                path, seconds = getattr(scope.get("route"), "path", _NO_ROUTE), time.perf_counter() - started
                self._metrics.count_request(path, status, seconds)
                self._describe(current, scope, path, status)
                self._log(scope, path, status, seconds)

    def _span(self, scope: Scope, request_id: str) -> AbstractContextManager[Span | None]:
        if not is_tracing():
            return nullcontext()
        from opentelemetry.trace import SpanKind

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        server = scope.get("server") or ("", 0)
        attributes = {
            "http.request.method": scope["method"],
            "url.scheme": scope.get("scheme", "http"),
            "url.path": scope["path"],
            "server.address": str(server[0]),
            "server.port": int(server[1] or 0),
            "user_agent.original": headers.get("user-agent", "")[:200],
            "headrace.problem": self._problem,
            "headrace.request.id": request_id,
        }
        return span(scope["method"], attributes, kind=SpanKind.SERVER, parent=context_from_headers(headers))

    def _describe(self, current: Span | None, scope: Scope, path: str, status: int) -> None:
        """Add to a span what is known at the end: its route and status."""
        if current is None:
            return
        current.set_attribute("http.response.status_code", status)
        if path != _NO_ROUTE:
            current.update_name(f"{scope['method']} {path}")
            current.set_attribute("http.route", path)
        if status >= 500:
            from opentelemetry.trace import Status, StatusCode

            current.set_attribute("error.type", str(status))
            current.set_status(Status(StatusCode.ERROR))

    def _log(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        if _access.isEnabledFor(logging.INFO):
            fields = {"problem": self._problem, "method": scope["method"], "path": path, "status": status}
            _access.info("request", extra={**fields, "seconds": round(seconds, 6)})


def batch_observer(problem: str, metrics: Metrics) -> Callable[[Sequence[ValidatedCall], BatchTimes], None]:
    """Return what observes the batches of a predictor: metrics, and spans of the steps for each traced request.

    Requests that wait together are read, scored and logged together; each one's spans have the times of its batch.

    Args:
        problem: Name of the problem.
        metrics: The metrics.
    """

    def observe(calls: Sequence[ValidatedCall], times: BatchTimes) -> None:
        metrics.observe_batch(calls, times)
        if is_tracing():
            rows = sum(len(call.rows) for call in calls)
            for call in calls:
                if call.trace is not None:
                    _record_steps(call, call.trace, times, {"headrace.problem": problem, "headrace.batch.rows": rows})

    return observe


def _record_steps(call: ValidatedCall, parent: Any, times: BatchTimes, shared: dict[str, Any]) -> None:
    version = {"headrace.model.version": call.version.loaded.version, "headrace.rows": len(call.rows)}
    attributes = {**shared, **version, "headrace.request.id": call.request_id or ""}
    for name, start_ns, end_ns in (
        ("read features", times.started_ns, times.read_ns),
        ("score", times.read_ns, times.scored_ns),
        ("write prediction log", times.scored_ns, times.logged_ns),
    ):
        record_span(name, start_ns, end_ns, parent, attributes)


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)
