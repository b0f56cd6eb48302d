"""Traces reach a collector over OTLP where one is named, and nothing is imported or sent where none is."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from headrace import __version__
from headrace.telemetry.tracing import is_tracing, span, start_tracing, stop_tracing, trace_headers, trace_ids


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, ExportTraceServiceRequest]]]]:
    """A collector of this process: its address, and the (path, request)s that it receives."""
    received: list[tuple[str, ExportTraceServiceRequest]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            received.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_spans_reach_the_collector() -> None:
    with collector() as (address, received):
        assert start_tracing("headrace-api", address)
        try:
            with span("outer", {"headrace.problem": "shop"}), span("inner"):
                pass
        finally:
            stop_tracing()
        assert not is_tracing()
    ((path, request),) = received
    assert path == "/v1/traces"
    (resource_spans,) = request.resource_spans
    resource = {one.key: one.value.string_value for one in resource_spans.resource.attributes}
    assert resource["service.name"] == "headrace-api"
    assert resource["service.version"] == __version__
    inner, outer = (one for scope in resource_spans.scope_spans for one in scope.spans)
    assert (inner.name, outer.name) == ("inner", "outer")
    assert inner.parent_span_id == outer.span_id
    assert inner.trace_id == outer.trace_id
    assert {one.key: one.value.string_value for one in outer.attributes} == {"headrace.problem": "shop"}


@pytest.mark.parametrize("endpoint", [None, ""])
def test_without_a_collector_nothing_is_recorded(endpoint: str | None) -> None:
    assert not start_tracing("headrace-api", endpoint)
    with span("outer") as current:
        assert current is None
        assert trace_headers() == {}
        assert trace_ids() == {}


def test_opentelemetry_is_imported_only_where_it_is_used() -> None:
    code = (
        "import sys\n"
        "from headrace.telemetry import tracing, flow_runs, fields\n"
        "with tracing.span('x'): pass\n"
        "assert not tracing.present_context()\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
