"""Flags of answers by name, refusals by `strict`, and the form of a number's answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.api.app import build_app
from headrace.serving.predictor import Predictor
from headrace.serving.service import Service
from tests.api.served import Served, TestClient, error_of, served, serving
from tests.serving_fixtures import NOW, PROBLEM, ROW, write_store

__all__ = ["served"]
COLUMNS = frozenset({*ROW, "order_id", "note", "refunded", "settled"})


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The API of the tiny problem, which knows the columns of its orders."""
    write_store(tmp_path)
    with TestClient(build_app(_knowing(serving(tmp_path))), base_url="http://localhost") as asked:
        yield asked


def _knowing(service: Service) -> Service:
    service.ledger.promote("1", None, "better", {}, NOW)
    service.follower.refresh()
    predictor = Predictor(
        service.problem,
        champion=lambda: service.follower.current,
        online=service.online,
        log=service.log,
        table_columns=lambda: COLUMNS,
    )
    return replace(service, predictor=predictor)


def test_what_is_as_in_training_has_no_flag(client: TestClient) -> None:
    assert client.post("/predict", json={**ROW, "note": "a column of the table", "order_id": 7}).json()["flags"] == []


def test_unknown_fields_and_unseen_categories_are_flagged_by_name(client: TestClient) -> None:
    row = {**ROW, "amoount": 20.0, "channel": "fax"}
    assert client.post("/predict", json=row).json()["flags"] == ["unknown_field:amoount", "unseen_category:channel"]
    rows = {"rows": [dict(ROW), row]}
    first, second = client.post("/predict/batch", json=rows).json()["predictions"]
    assert (first["flags"], len(second["flags"])) == ([], 2)


def test_a_missing_category_is_no_unseen_one(client: TestClient) -> None:
    assert client.post("/predict", json={**ROW, "channel": None}).json()["flags"] == []


def test_strict_refuses_an_unknown_field_and_its_advice_works(client: TestClient) -> None:
    error = error_of(client.post("/predict?strict=true", json={**ROW, "amoount": 20.0}), 422)
    assert error["what"] == "unknown field amoount"
    assert error["fix"].startswith("did you mean amount?")
    assert client.post("/predict", json={**ROW, "amoount": 20.0}).status_code == 200  # without strict, as it says


def test_strict_refuses_an_unseen_category_and_lists_the_seen_ones(client: TestClient) -> None:
    rows = {"rows": [dict(ROW), {**ROW, "channel": "fax"}]}
    error = error_of(client.post("/predict/batch?strict=true", json=rows), 422)
    assert error["where"] == "row 1, channel"
    assert error["found"] == ["shop", "web"]
    assert client.post("/predict?strict=true", json={**ROW, "channel": None}).status_code == 200  # as it says


def test_many_long_unknown_fields_make_a_short_answer(client: TestClient) -> None:
    row = {**ROW, **{f"{number}{'x' * 5000}": 1 for number in range(100)}}
    flags = client.post("/predict", json=row).json()["flags"]
    assert len(flags) == 20
    assert max(map(len, flags)) < 120


def test_a_number_is_a_prediction_and_no_probability(tmp_path: Path) -> None:
    write_store(tmp_path)
    service = serving(tmp_path)
    service.ledger.promote("1", None, "better", {}, NOW)
    service.follower.refresh()
    number = replace(service, problem=replace(PROBLEM, label="refunded", metric="rmse"))
    with TestClient(build_app(number), base_url="http://localhost") as asked:
        answer = asked.post("/predict", json=dict(ROW)).json()
        several = asked.post("/predict/batch", json={"rows": [dict(ROW)]}).json()["predictions"]
        schema = asked.get("/openapi.json").text
    assert answer["prediction"] == several[0]["prediction"] == pytest.approx(0.13)
    assert "probability" not in answer | several[0]
    assert '"probability"' not in schema


def test_the_example_is_answered_without_a_flag(served: Served) -> None:
    row = served.client.get("/example").json()
    answer = served.client.post("/predict", json=row)
    assert (answer.status_code, answer.json()["flags"]) == (200, [])
