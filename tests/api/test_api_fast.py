"""Ordinary requests are answered without FastAPI: the same answers as its endpoints, whatever the body."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.api import fast
from headrace.api.fast import FastPredictions
from headrace.prediction_log.journal import Sync
from tests.api.served import ROW, Served, serve, served

__all__ = ["served"]

#: A declaration with a parameter is no ordinary one: FastAPI answers.
ORDINARY, OTHER = "application/json", "application/json; charset=utf-8"


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


ONE = {
    "plain": text(ROW),
    "nulls": text(dict.fromkeys(ROW)),
    "unknown entity": text({**ROW, "customer_id": "nobody"}),
    "unknown field": text({**ROW, "colour": "red"}),
    "unseen category": text({**ROW, "channel": "fax"}),
    "row key": text({**ROW, "order_id": 7}),
    "letters": json.dumps({**ROW, "channel": "wüb 日本"}, ensure_ascii=False).encode(),
    "escapes": text({**ROW, "channel": 'a "b" \n ü'}),
    "digits": text({**ROW, "channel": 12345678901234567890123}),
    "large": text({**ROW, "amount": 10**25}),
    "whole": text({**ROW, "amount": 20}),
    "small": text({**ROW, "amount": -0.0}),
    "twice": text(ROW)[:-1] + b', "amount": 21}',
    "twice, other first": b'{"amount": "a", ' + text(ROW)[1:],
    "empty name": text({**ROW, "": 1}),
    "lacks a column": text(without(dict(ROW), "amount")),
    "wrong type": text({**ROW, "amount": "20"}),
    "nested": text({**ROW, "amount": [20]}),
    "nested text": text({**ROW, "colour": {"a": "b"}}),
    "NaN": text(ROW).replace(b"20.0", b"NaN"),
    "no object": b"[1]",
    "no JSON": b'{"amount": 1',
    "not UTF-8": text(ROW).replace(b"web", b"w\xffb"),
    "lone surrogate": text(ROW).replace(b"web", b"\\ud800"),
    "empty": b"",
    "a mark": text({**ROW, "order_id": "a'b"}),
}
SEVERAL = {
    "two": text({"rows": [ROW, {**ROW, "customer_id": "c2"}]}),
    "more than rows": text({"rows": [ROW], "colour": "red"}),
    "none": text({"rows": []}),
    "no list": text({"rows": ROW}),
    "no object": text({"rows": [ROW, 1]}),
    "no rows": text({}),
    "second is wrong": text({"rows": [ROW, without(dict(ROW), "amount")]}),
    "twice": text({"rows": [ROW]}).replace(b'"gift": true', b'"gift": true, "gift": true'),
    "rows twice": b'{"rows": [], ' + text({"rows": [ROW]})[1:],
    "too many": text({"rows": [ROW] * 1001}),
}


def answer(served: Served, path: str, body: bytes, declared: str) -> tuple[int, Any]:
    """Status and content of an answer, without the ids of its predictions."""
    response = served.client.post(path, content=body, headers={"content-type": declared})
    content = response.json()
    for item in content.get("predictions", [content]):
        item.pop("id", None)
    return response.status_code, content


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serve(tmp_path_factory.mktemp("fast"), "interval") as running:
        yield running


@pytest.mark.parametrize("strict", ["", "?strict=true", "?strict=false", "?strict=perhaps", "?other=1"])
@pytest.mark.parametrize("name", ONE)
def test_one_row_is_answered_as_by_the_endpoint(app: Served, name: str, strict: str) -> None:
    path = f"/predict{strict}"
    assert answer(app, path, ONE[name], ORDINARY) == answer(app, path, ONE[name], OTHER)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_rows_are_answered_as_by_the_endpoint(app: Served, name: str) -> None:
    assert answer(app, "/predict/batch", SEVERAL[name], ORDINARY) == answer(app, "/predict/batch", SEVERAL[name], OTHER)


@pytest.mark.parametrize("sync", [None, "always", "interval"])
def test_what_is_logged_is_the_same(tmp_path: Path, sync: Sync | None) -> None:
    with serve(tmp_path, sync) as served:
        for name, body in ONE.items():
            logged = []
            for declared in (ORDINARY, OTHER):
                before = {row.id for row in served.log.read()}
                answer(served, "/predict", body, declared)
                logged.append(
                    [vars(row) | {"id": "", "request_id": ""} for row in served.log.read() if row.id not in before]
                )
            assert repr(logged[0]) == repr(logged[1]), name


def test_ordinary_requests_do_not_reach_the_endpoint(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = []
    monkeypatch.setattr(fast, "_replayed", lambda body, receive: replayed.append(body))
    for name in ("plain", "nulls", "unknown field", "unseen category", "letters"):
        assert answer(served, "/predict", ONE[name], ORDINARY)[0] == 200
    assert answer(served, "/predict/batch", SEVERAL["two"], ORDINARY)[0] == 200
    assert replayed == []


def test_requests_are_counted_alike(served: Served) -> None:
    for declared in (ORDINARY, OTHER):
        answer(served, "/predict", ONE["unseen category"], declared)
    exposed = served.client.get("/metrics").text
    assert 'headrace_requests_total{path="/predict",problem="shop",status="200"} 2.0' in exposed
    assert 'headrace_flags_total{column="channel",flag="unseen_category",problem="shop"} 2.0' in exposed
    assert 'headrace_predictions_total{problem="shop",version="1"} 2.0' in exposed


def test_a_failure_behind_the_fast_answer_is_that_of_the_endpoint(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: FastPredictions, rows: Any, strict: bool) -> None:
        return None

    monkeypatch.setattr(FastPredictions, "_answers", fails)
    assert answer(served, "/predict", ONE["plain"], ORDINARY)[0] == 200
