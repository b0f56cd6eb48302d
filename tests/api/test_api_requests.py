"""Ids of requests in answers, log lines and the prediction log; spans of a request in the trace of its client."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from headrace.telemetry.logs import ACCESS, JsonFormatter
from tests.api.served import Served, served
from tests.serving_fixtures import ROW
from tests.telemetry.collected import Collected, collected

__all__ = ["collected", "served"]

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
STEPS = ["read features", "score", "write prediction log"]


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """What is logged as JSON."""
    stream, logger = StringIO(), logging.getLogger("headrace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    levels = {name: logging.getLogger(name).level for name in ("headrace", ACCESS)}
    for name in levels:
        logging.getLogger(name).setLevel("INFO")
    try:
        yield stream
    finally:
        logger.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def parsed(lines: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


@pytest.mark.parametrize("given", ["abc-123", "9f1c:7.b_2", "A" * 128])
def test_a_valid_id_of_the_client_is_kept(served: Served, given: str) -> None:
    answer = served.client.post("/predict", json=dict(ROW), headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    (logged,) = served.log.read()
    assert logged.request_id == given


@pytest.mark.parametrize("given", [None, "", "with space", "x" * 129, "-leading", 'a"b', "a\tb"])
def test_another_one_is_replaced(served: Served, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given}
    first, second = (served.client.post("/predict", json=dict(ROW), headers=headers) for _ in range(2))
    ids = {first.headers["X-Request-ID"], second.headers["X-Request-ID"]}
    assert len(ids) == 2
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in ids)
    assert {row.request_id for row in served.log.read()} == ids


def test_errors_and_pages_have_ids_too(served: Served) -> None:
    for answer in (
        served.client.post("/predict", json={}),
        served.client.get("/nothing"),
        served.client.get("/healthz"),
    ):
        assert len(answer.headers["X-Request-ID"]) == 32


def test_every_line_of_a_request_has_its_id(
    served: Served, lines: StringIO, monkeypatch: pytest.MonkeyPatch, collected: Collected
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("cannot reach postgresql://user:secret@host/db")

    monkeypatch.setattr(served.service.ledger, "champion", broken)
    answer = served.client.get("/model", headers={"X-Request-ID": "r-1", "traceparent": TRACEPARENT})
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "r-1"
    incident, access = [line for line in parsed(lines) if line.get("request_id") == "r-1"]
    assert incident["message"].startswith("incident ")
    assert "RuntimeError" in incident["error"]
    assert "secret" not in lines.getvalue()
    assert {key: access[key] for key in ("logger", "method", "path", "status", "problem")} == {
        "logger": ACCESS, "method": "GET", "path": "/model", "status": 500, "problem": "shop",
    }  # fmt: skip
    assert incident["trace_id"] == access["trace_id"] == TRACE
    span = collected.one("GET /model")
    assert span.status.status_code is StatusCode.ERROR
    assert access["span_id"] == f"{span.context.span_id:016x}"


def test_spans_of_a_prediction(served: Served, collected: Collected) -> None:
    headers = {"X-Request-ID": "r-1", "traceparent": TRACEPARENT}
    answer = served.client.post("/predict/batch", json={"rows": [dict(ROW)] * 2}, headers=headers)
    assert answer.status_code == 200
    request = collected.one("POST /predict/batch")
    assert request.parent is not None
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, PARENT)
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{request.context.span_id:016x}-01"
    assert request.kind is SpanKind.SERVER
    expected = {
        "http.request.method": "POST", "http.route": "/predict/batch", "http.response.status_code": 200,
        "url.path": "/predict/batch", "headrace.problem": "shop", "headrace.request.id": "r-1",
    }  # fmt: skip
    assert {key: (request.attributes or {})[key] for key in expected} == expected
    assert collected.children(request) == STEPS
    for step in STEPS:
        attributes = collected.one(step).attributes or {}
        assert attributes["headrace.model.version"] == "1"
        assert attributes["headrace.rows"] == 2
        assert attributes["headrace.request.id"] == "r-1"
    ends = [collected.one(step) for step in STEPS]
    assert all(first.end_time == second.start_time for first, second in itertools.pairwise(ends))


def test_a_client_that_is_not_sampled_is_not_recorded(served: Served, collected: Collected) -> None:
    served.client.post("/predict", json=dict(ROW), headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert collected.named("POST /predict") == []
    assert collected.named("score") == []


def test_requests_that_wait_together_have_spans_of_their_own(served: Served, collected: Collected) -> None:
    service = served.service
    calls = []
    for number in range(2):
        with _Request(f"r-{number}"):
            calls.append(service.predictor.check([dict(ROW)], now_us=service.now()))
    service.predictor.answer(calls)
    assert [row.request_id for row in served.log.read()] == ["r-0", "r-1"]
    assert [(span.attributes or {})["headrace.request.id"] for span in collected.named("score")] == ["r-0", "r-1"]
    assert {(span.attributes or {})["headrace.batch.rows"] for span in collected.named("score")} == {2}


class _Request:
    """Code of a request."""

    def __init__(self, name: str) -> None:
        from headrace.telemetry.tracing import span

        self._name, self._span = name, span(name)

    def __enter__(self) -> None:
        from headrace.telemetry.fields import REQUEST_ID

        self._token = REQUEST_ID.set(self._name)
        self._span.__enter__()

    def __exit__(self, *_: object) -> None:
        from headrace.telemetry.fields import REQUEST_ID

        self._span.__exit__(None, None, None)
        REQUEST_ID.reset(self._token)


def test_without_a_collector_nothing_is_recorded_and_answers_are_the_same(served: Served) -> None:
    answer = served.client.post("/predict", json=dict(ROW), headers={"traceparent": TRACEPARENT})
    assert answer.status_code == 200
    assert "traceresponse" not in answer.headers
