"""`make bench-observability`: what ids, metrics, logs and traces add to a request, in process, in processor time.

A row is asked of the prediction API as an ASGI application, without a socket: the tiny shop of the tests, whose
prediction is cheap, so that the difference is seen. Every configuration is measured in turn, several times; the result
is the median. Spans go to OpenTelemetry's batch processor with an exporter that drops them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import orjson
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from headrace.api.app import build_app
from headrace.telemetry.logs import ACCESS, JsonFormatter
from headrace.telemetry.tracing import record_spans, stop_tracing
from tests.api.served import serving
from tests.serving_fixtures import NOW, ROW, write_store

BODY = orjson.dumps(dict(ROW))
TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-%02d"


class Dropped(SpanExporter):
    """Sends spans nowhere."""

    def export(self, spans: Any) -> SpanExportResult:
        assert all(isinstance(span, ReadableSpan) for span in spans)
        return SpanExportResult.SUCCESS


class Tracing:
    """Spans are recorded inside the block."""

    def __enter__(self) -> None:
        record_spans("headrace-bench", BatchSpanProcessor(Dropped()))

    def __exit__(self, *_: object) -> None:
        stop_tracing()


class AccessLines:
    """A JSON line is formatted for each request inside the block."""

    def __enter__(self) -> None:
        self._handler = logging.StreamHandler(Path("/dev/null").open("w"))
        self._handler.setFormatter(JsonFormatter())
        logging.getLogger(ACCESS).addHandler(self._handler)
        logging.getLogger(ACCESS).setLevel("INFO")

    def __exit__(self, *_: object) -> None:
        logging.getLogger(ACCESS).removeHandler(self._handler)
        logging.getLogger(ACCESS).setLevel("WARNING")
        self._handler.stream.close()


def scope(sampled: int) -> dict[str, Any]:
    """Return a request for one prediction, of a client whose trace is sampled or not."""
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"traceparent", TRACEPARENT % sampled)]
    return {"type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "query_string": b"",
            "headers": headers, "root_path": "", "scheme": "http", "server": ("localhost", 8080)}  # fmt: skip


async def ask(app: Any, requests: int, sampled: int) -> None:
    """Ask for predictions, one after the other."""
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for _ in range(requests):
        await asyncio.create_task(app(scope(sampled), receive, send))
    assert set(statuses) == {200}


def main() -> int:
    """Measure and print the table."""
    options = _options()
    memory = Path("/dev/shm")  # commits of the log wait for no disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        write_store(Path(folder))
        service = serving(Path(folder))
        service.ledger.promote("1", None, "first", {}, NOW)
        service.follower.refresh()
        app = build_app(service)
        observed: Any = app.build_middleware_stack()
        bare: Any = observed
        while type(bare).__name__ != "HostCheck":  # what is inside ObservedRequests
            bare = bare._app if hasattr(bare, "_app") else bare.app
        none: Callable[[], AbstractContextManager[None]] = nullcontext
        cases: dict[str, tuple[Any, Callable[[], Any], int]] = {
            "without ids, metrics and traces": (bare, none, 1),
            "ids and metrics (default)": (observed, none, 1),
            "and a JSON line a request": (observed, AccessLines, 1),
            "and spans, request not sampled": (observed, Tracing, 0),
            "and spans, request sampled": (observed, Tracing, 1),
        }
        times_us: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(options.repetitions):
            for name, (asked, block, sampled) in cases.items():
                with block():
                    asyncio.run(ask(asked, options.requests // 10, sampled))
                    started = time.process_time()
                    asyncio.run(ask(asked, options.requests, sampled))
                    times_us[name].append((time.process_time() - started) / options.requests * 1e6)
        first = statistics.median(times_us["without ids, metrics and traces"])
        for name, values in times_us.items():
            median = statistics.median(values)
            print(f"{name:<34} {median:7.0f} us a request  {median - first:+7.0f}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
