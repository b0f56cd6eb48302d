"""The API over a real store, ledger and log: answers, errors in one form, readiness, the reference page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.api.app import build_app
from headrace.api.bodies import MAX_BODY_BYTES
from tests.api.served import Served, TestClient, error_of, served, serving
from tests.serving_fixtures import NOW, ROW, TICK, VIEW, write_store

__all__ = ["served"]


def test_predict(served: Served) -> None:
    answer = served.client.post("/predict", json=dict(ROW))
    assert answer.status_code == 200
    assert answer.json() == {
        "id": "p0",
        "probability": pytest.approx(0.13),
        "model_version": "1",
        "made_at": "2024-03-01T12:00:00Z",
        "features": {VIEW: {"status": "FRESH", "tick": "2024-03-01T12:00:00Z", "age_s": 0.0}},
        "flags": [],
        "reason": "",
    }
    assert [item.id for item in served.log.read()] == ["p0"]


def test_predict_batch_keeps_the_order(served: Served) -> None:
    rows = [{**ROW, "customer_id": customer} for customer in ("c2", "c1", "nobody")]
    answer = served.client.post("/predict/batch", json={"rows": rows})
    assert answer.status_code == 200
    predictions = answer.json()["predictions"]
    assert [item["probability"] for item in predictions] == pytest.approx([0.15, 0.13, 0.1])
    assert [item["features"][VIEW]["status"] for item in predictions] == ["FRESH", "FRESH", "MISSING"]
    assert len(served.log) == 3


def test_a_new_champion_answers_without_a_restart(served: Served) -> None:
    served.ledger.promote("2", "1", "better", {}, NOW)
    served.service.follower.refresh()
    assert served.client.post("/predict", json=dict(ROW)).json()["model_version"] == "2"
    served.ledger.rollback(NOW)
    served.service.follower.refresh()
    assert served.client.post("/predict", json=dict(ROW)).json()["model_version"] == "1"


def test_an_absent_key_is_one_clear_error(served: Served) -> None:
    error = error_of(served.client.post("/predict", json={k: v for k, v in ROW.items() if k != "customer_id"}), 422)
    assert error["what"] == "lacks customer_id"
    assert "customer_id" in error["fix"]
    assert len(served.log) == 0


def test_a_naive_time_is_one_clear_error(served: Served) -> None:
    error = error_of(served.client.post("/predict", json={**ROW, "placed": "2024-03-01T14:00:00"}), 422)
    assert error["where"] == "request, placed"
    assert "no time zone" in error["what"]
    assert "2024-03-01T14:00:00Z" in error["fix"]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"amount": 1,', "the body is not valid JSON: "),
        (b"amount=1", "the body is not valid JSON: "),
        (b"\xff\xfe", "the body is not valid JSON"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b"", "the body is empty"),
        (b"[1, 2]", "the body is not a JSON object"),
        (b'"text"', "the body is not a JSON object"),
        (b"null", "the body is empty"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_malformed_body_is_one_clear_error(served: Served, path: str, body: bytes, what: str) -> None:
    answer = served.client.post(path, content=body, headers={"Content-Type": "application/json"})
    error = error_of(answer, 422)
    assert error["what"].startswith(what)
    assert len(error["what"]) <= 200


@pytest.mark.parametrize(("count", "where"), [(0, "rows"), (1001, "rows")])
def test_a_batch_has_one_to_a_thousand_rows(served: Served, count: int, where: str) -> None:
    error = error_of(served.client.post("/predict/batch", json={"rows": [ROW] * count}), 422)
    assert error["where"] == where
    assert len(served.log) == 0


def test_a_body_that_is_too_large_is_refused_whatever_its_header_says(served: Served) -> None:
    large = b'{"amount": "' + b"x" * MAX_BODY_BYTES + b'"}'
    kind = {"Content-Type": "application/json"}
    assert error_of(served.client.post("/predict", content=large, headers=kind), 413)["what"] == "the body is too large"

    def stream() -> Iterator[bytes]:
        yield from (large[at : at + 65536] for at in range(0, len(large), 65536))

    assert error_of(served.client.post("/predict", content=stream(), headers=kind), 413)["code"] == "too_large"


def test_no_path_or_trace_reaches_a_client(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(calls: object) -> list[Any]:
        raise RuntimeError("secret /home/somebody/file")

    monkeypatch.setattr(served.service.predictor, "answer", broken)
    answer = served.client.post("/predict", json=dict(ROW))
    error = error_of(answer, 500)
    assert error["code"] == "internal"
    assert "secret" not in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/predict", 405)])
def test_a_wrong_address_is_an_error_of_the_same_form(served: Served, method: str, path: str, status: int) -> None:
    assert error_of(served.client.request(method, path), status)["fix"] == "see /docs for the endpoints"


def test_model_names_version_metrics_and_columns(served: Served) -> None:
    assert served.client.get("/model").json() == {
        "problem": "shop",
        "version": "1",
        "service": "shop_1",
        "promoted_at": "2024-03-01T12:00:00Z",
        "reason": "beats the baseline",
        "metrics": {"auc": 0.78},
        "join_keys": ["customer_id"],
        "columns": {"amount": "numeric", "gift": "boolean", "channel": "categorical", "placed": "time"},
    }


def test_ready_with_the_age_of_the_features(served: Served) -> None:
    answer = served.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "obstacles": [],
        "problem": "shop",
        "clock": "2024-03-01T12:00:00Z",
        "champion": "1",
        "serving": "1",
        "refused": None,
        "features": {VIEW: {"status": "FRESH", "tick": "2024-03-01T12:00:00Z", "age_s": 0.0}},
    }


def test_a_refused_champion_shows_in_readiness_and_the_old_one_answers(served: Served) -> None:
    served.ledger.promote("9", "1", "better", {}, NOW)
    served.service.follower.refresh()
    answer = served.client.get("/readyz")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["ready"], found["champion"], found["serving"]) == (True, "9", "1")
    assert found["refused"] == {"version": "9", "reason": "sha256 differs from the manifest"}
    assert "secret" not in answer.text
    assert served.client.post("/predict", json=dict(ROW)).json()["model_version"] == "1"
    model = served.client.get("/model").json()
    assert (model["version"], model["promoted_at"]) == ("1", None)


def test_without_a_champion_it_is_alive_but_not_ready(tmp_path: Path) -> None:
    with TestClient(build_app(serving(tmp_path)), base_url="http://localhost") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        error = error_of(client.post("/predict", json=dict(ROW)), 503)
        assert error["what"] == "no model can answer yet"
        assert error_of(client.get("/model"), 503)["code"] == "unavailable"
        assert client.get("/openapi.json").status_code == 200


def test_stale_features_fail_with_503_where_the_policy_says_so(tmp_path: Path) -> None:
    write_store(tmp_path, tick_us=NOW - 10 * TICK)
    service = serving(tmp_path, policy="fail")
    service.ledger.promote("1", None, "first", {}, NOW)
    service.follower.refresh()
    with TestClient(build_app(service), base_url="http://localhost") as client:
        error = error_of(client.post("/predict", json=dict(ROW)), 503)
        assert error["found"] == [f"{VIEW} is STALE"]


def test_the_background_follower_starts_and_stops_with_the_app(tmp_path: Path) -> None:
    write_store(tmp_path)
    service = serving(tmp_path)
    service.ledger.promote("1", None, "first", {}, NOW)
    with TestClient(build_app(service, poll_s=0.01), base_url="http://localhost") as client:
        thread = service.follower._thread
        assert thread is not None
        assert thread.is_alive()
        while service.follower.serving is None:  # pytest-timeout ends this if it never comes
            client.get("/healthz")
        assert client.post("/predict", json=dict(ROW)).status_code == 200
    assert not thread.is_alive()


def test_the_reference_has_a_row_that_works_as_it_is(served: Served) -> None:
    schema = served.client.get("/openapi.json").json()
    example = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert served.client.post("/predict", json=example).status_code == 200
    batch = schema["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert served.client.post("/predict/batch", json=batch).status_code == 200
    assert {"413", "422", "503"} <= set(schema["paths"]["/predict"]["post"]["responses"])


def test_the_reference_page_loads_nothing_from_elsewhere(served: Served) -> None:
    page = served.client.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_a_placeholder_row_stands_in_where_there_is_no_real_one(tmp_path: Path) -> None:
    write_store(tmp_path)
    service = serving(tmp_path)
    service.ledger.promote("1", None, "first", {}, NOW)
    service.follower.refresh()
    with TestClient(build_app(service), base_url="http://localhost") as client:
        schema = client.get("/openapi.json").json()
        example = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert set(example) == set(ROW)
        assert client.post("/predict", json=example).status_code == 200
