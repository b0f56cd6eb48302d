"""Record spans of requests and runs with OpenTelemetry, for operators; without a collector nothing is recorded or sent.

`start_tracing` is called by the processes that serve and run flows. It does nothing unless OTEL_EXPORTER_OTLP_ENDPOINT
names a collector. Until it was called, `span` yields None and OpenTelemetry is not imported. Samplers, headers, time
limits and resource attributes are those of OpenTelemetry's own variables, which its SDK reads.

Attributes follow OpenTelemetry's semantic conventions (`http.*`, `url.*`, `error.type`, `service.*`); what they have no
name for is below `headrace.`. Texts of errors are redacted, and no span contains values of a request.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace import __version__
from headrace.core.redact import redact

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer

#: Values of attributes.
Value = str | int | float | bool


@dataclass
class _State:
    """The tracer of this process and its provider; None while nothing is recorded."""

    tracer: Tracer | None = None
    provider: TracerProvider | None = None


_state = _State()


def start_tracing(service: str, endpoint: str | None) -> bool:
    """Send the spans of this process to a collector, over OTLP by HTTP. Later calls change nothing.

    Args:
        service: Name of the service, `service.name`.
        endpoint: Address of the collector, such as `http://127.0.0.1:4318`; None: record nothing.

    Returns:
        Whether spans are recorded.
    """
    if endpoint and _state.tracer is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        record_spans(service, BatchSpanProcessor(exporter))
    return _state.tracer is not None


def record_spans(service: str, processor: SpanProcessor) -> None:
    """Give the spans of this process to a processor; they are flushed when the process ends."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    resource = Resource.create({"service.name": service, "service.version": __version__})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(processor)
    atexit.register(provider.shutdown)
    _state.provider = provider
    _state.tracer = provider.get_tracer("headrace", __version__)


def stop_tracing() -> None:
    """Send what was recorded, and record nothing from now on."""
    if _state.provider is not None:
        atexit.unregister(_state.provider.shutdown)
        _state.provider.shutdown()
    _state.tracer = _state.provider = None


def is_tracing() -> bool:
    """Whether spans are recorded."""
    return _state.tracer is not None


@contextmanager
def span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    kind: SpanKind | None = None,
    parent: Context | None = None,
) -> Iterator[Span | None]:
    """Record a span around the block, as a child of the present one.

    Args:
        name: Name of the operation, without values that differ from call to call.
        attributes: Attributes that are known at the start.
        kind: Kind of the span; internal if left out.
        parent: Context of the parent, instead of the present one.

    Yields:
        The span; None where nothing is recorded.
    """
    tracer = _state.tracer
    if tracer is None:
        yield None
        return
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=SpanKind.INTERNAL if kind is None else kind,
        attributes=attributes,
        record_exception=False,  # a traceback may contain secrets
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as error:
            mark_failed(current, error)
            raise


def record_span(name: str, start_ns: int, end_ns: int, parent: Context, attributes: Mapping[str, Value]) -> None:
    """Record a span that has ended, whose times were measured before.

    Args:
        name: Name of the operation.
        start_ns: Start, nanoseconds since 1970.
        end_ns: End.
        parent: Context of its parent.
        attributes: Its attributes.
    """
    if _state.tracer is not None:
        _state.tracer.start_span(name, context=parent, start_time=start_ns, attributes=attributes).end(end_ns)


def mark_failed(current: Span, error: BaseException) -> None:
    """Set a span's status to the error, with its redacted message."""
    from opentelemetry.trace import Status, StatusCode

    current.set_attribute("error.type", type(error).__qualname__)
    current.set_status(Status(StatusCode.ERROR, redact(str(error))[:500]))


def context_from_headers(headers: Mapping[str, str]) -> Context:
    """Return the context that a client sends as `traceparent` and `tracestate` (W3C Trace Context); empty without."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(dict(headers), context=Context())


def present_context() -> Context | None:
    """Return the context of the present span, to give it to another thread; None where nothing is recorded."""
    if _state.tracer is None:
        return None
    from opentelemetry.context import get_current

    return get_current()


def trace_headers() -> dict[str, str]:
    """Return the headers that make a called service's spans children of the present one; none where there is none."""
    headers: dict[str, str] = {}
    if _state.tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)
    return headers


def trace_ids() -> dict[str, Any]:
    """Return `trace_id` and `span_id` of the present span in hexadecimal digits; empty where there is none."""
    if _state.tracer is None:
        return {}
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
