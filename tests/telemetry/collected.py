"""Spans of this process, collected in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headrace.telemetry.tracing import record_spans, stop_tracing

__all__ = ["Collected", "collected"]


class Collected:
    """The spans that have ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        found = self.named(name)
        assert len(found) == 1, [span.name for span in self._exporter.get_finished_spans()]
        return found[0]

    def children(self, parent: ReadableSpan) -> list[str]:
        """Names of the spans below a span, by their start."""
        spans = [span for span in self._exporter.get_finished_spans() if _parent(span) == parent.context.span_id]
        return [span.name for span in sorted(spans, key=lambda span: span.start_time or 0)]


def _parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


@pytest.fixture
def collected() -> Iterator[Collected]:
    """Spans are recorded until the test ends."""
    exporter = InMemorySpanExporter()
    record_spans("headrace-tests", SimpleSpanProcessor(exporter))
    try:
        yield Collected(exporter)
    finally:
        stop_tracing()
