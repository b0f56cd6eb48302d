"""`make bench-observability`: what ids, metrics, logs and traces add to a request, in process, in processor time.

The middleware and the observer of batches are called around an application that only answers, without a socket and
without a prediction, so that nothing else is measured. Every configuration is measured in turn, several times; the
result is the median. Spans go to OpenTelemetry's batch processor with an exporter that drops them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from headrace.api.metrics import Meters, Metrics
from headrace.api.requests import ObservedRequests, batch_observer
from headrace.serving.batch_times import BatchClock, BatchTimes
from headrace.telemetry.fields import REQUEST_ID
from headrace.telemetry.logs import ACCESS, JsonFormatter
from headrace.telemetry.tracing import present_context, record_spans, stop_tracing

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


class Answering:
    """An application that answers at once and, where it has an observer, reports a batch of one row."""

    def __init__(self, observer: Callable[[Sequence[Any], BatchTimes], None] | None) -> None:
        self._observer = observer
        self._version = SimpleNamespace(loaded=SimpleNamespace(version="1"))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._observer is not None:
            clock = BatchClock()
            clock.step_ended()
            clock.step_ended()
            call = SimpleNamespace(
                version=self._version, rows=(1,), request_id=REQUEST_ID.get(), trace=present_context()
            )
            self._observer([call], clock.times())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def ask(app: Any, requests: int, sampled: int) -> None:
    """Ask for predictions, one after the other."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        return

    for _ in range(requests):
        await app(scope(sampled), receive, send)


def main() -> int:
    """Measure and print the table."""
    options = _options()
    metrics = Metrics("shop", Meters())
    bare = Answering(None)
    observed = ObservedRequests(Answering(batch_observer("shop", metrics)), problem="shop", metrics=metrics)
    cases: dict[str, tuple[Any, Callable[[], Any], int]] = {
        "without ids, metrics and traces": (bare, nullcontext, 1),
        "ids and metrics (default)": (observed, nullcontext, 1),
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
        print(f"{name:<34} {statistics.median(values) - first:7.1f} us a request")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
