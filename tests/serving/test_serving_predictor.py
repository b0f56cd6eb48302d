"""The data plane: values, checks, freshness policies, flags, and the log before the answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.core.clock import DAY, HOUR
from headrace.core.errors import DataError, NotFoundError, UnavailableError
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.serving.answers import Policy
from headrace.serving.follow import LoadedVersion
from headrace.serving.predictor import Predictor
from headrace.store.online import OnlineStore
from tests.serving_fixtures import MEAN, NOW, PROBLEM, ROW, TICK, VIEW, TinyModel, ids, write_store


def predictor(root: Path, model: TinyModel | None = None, *, policy: Policy = "default", log: Any = None) -> Predictor:
    names = ids()
    loaded = LoadedVersion(version="1", bundle=model or TinyModel())  # type: ignore[arg-type]
    return Predictor(
        PROBLEM,
        champion=lambda: loaded,
        online=OnlineStore(root, PROBLEM),
        log=log if log is not None else PredictionLog(root, "shop"),
        policy=policy,
        new_id=lambda: next(names),
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_store(tmp_path)
    return tmp_path


def test_an_answer_says_what_it_was_made_of(root: Path) -> None:
    model = TinyModel(offset=0.5)
    (answer,) = predictor(root, model).predict([ROW], now_us=NOW + 60_000_000)
    assert answer.id == "p0"
    assert answer.value == pytest.approx(0.53)
    assert (answer.model_version, answer.made_us, answer.flags, answer.reason) == ("1", NOW + 60_000_000, (), "")
    age = answer.features[VIEW]
    assert (age.status, age.tick_us, age.age_us) == ("FRESH", NOW - NOW % TICK, 60_000_000)
    (matrix,) = model.seen
    assert matrix.to_pylist() == [
        {
            "customer_id_customers_city": "Bern",
            MEAN: 30.0,
            "amount": 20.0,
            "gift": 1.0,
            "channel": "web",
            "hour_placed": 14.0,
        }
    ]


def test_the_answer_is_in_the_log_before_it_is_given(root: Path) -> None:
    (answer,) = predictor(root).predict([{**ROW, "order_id": 7}], now_us=NOW)
    (logged,) = PredictionLog(root, "shop").read()
    assert (logged.id, logged.probability, logged.source) == (answer.id, answer.value, "api")
    assert (logged.cutoff_us, logged.made_us, logged.model_version) == (NOW, NOW, "1")
    assert logged.join_keys == {"customer_id": "c1"}
    assert logged.request == {name: ROW[name] for name in ("placed", "amount", "gift", "channel")}
    assert logged.features[MEAN] == 30.0
    assert logged.ticks == {VIEW: NOW - NOW % TICK}
    assert logged.statuses == {VIEW: "FRESH"}
    assert logged.row_key == [7]


def test_no_answer_leaves_that_could_not_be_logged(root: Path) -> None:
    class FullDisk:
        def append(self, rows: Sequence[Prediction]) -> int:
            raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(UnavailableError, match="could not be logged"):
        predictor(root, log=FullDisk()).predict([ROW], now_us=NOW)


def test_a_batch_is_one_transaction_in_order(root: Path) -> None:
    class Counting(PredictionLog):
        calls = 0

        def append(self, rows: Sequence[Prediction]) -> int:
            Counting.calls += 1
            return super().append(rows)

    rows = [{**ROW, "customer_id": customer} for customer in ("c2", "c1", "c2")]
    answers = predictor(root, log=Counting(root, "shop")).predict(rows, now_us=NOW)
    assert [answer.value for answer in answers] == pytest.approx([0.05, 0.03, 0.05])
    assert [answer.id for answer in answers] == ["p0", "p1", "p2"]
    assert Counting.calls == 1
    assert len(PredictionLog(root, "shop")) == 3


def test_one_bad_row_in_a_batch_logs_none_and_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"row 1: lacks amount\."):
        predictor(root).predict([ROW, {k: v for k, v in ROW.items() if k != "amount"}], now_us=NOW)
    assert len(PredictionLog(root, "shop")) == 0


@pytest.mark.parametrize("column", ["customer_id", "placed", "amount", "gift", "channel"])
def test_an_absent_column_is_named(root: Path, column: str) -> None:
    with pytest.raises(DataError, match=rf"request: lacks {column}\.") as caught:
        predictor(root).predict([{k: v for k, v in ROW.items() if k != column}], now_us=NOW)
    assert column not in caught.value.found


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("customer_id", 1.5, "a text, a whole number or null"),
        ("amount", "20", "a finite number or null"),
        ("amount", float("nan"), "a finite number or null"),
        ("amount", float("inf"), "a finite number or null"),
        ("amount", True, "a finite number or null"),
        ("gift", 1, "true, false or null"),
        ("channel", {"a": 1}, "a text or null"),
        ("placed", "tomorrow", "an ISO time with its zone"),
        ("placed", 17093016, "an ISO time with its zone"),
        ("placed", "2024-03-01T14:00:00", "has no time zone.*write 2024-03-01T14:00:00Z"),
    ],
)
def test_a_wrong_value_is_named(root: Path, column: str, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        predictor(root).predict([{**ROW, column: value}], now_us=NOW)
    assert caught.value.where == f"request, {column}"


@pytest.mark.parametrize("column", ["amount", "gift", "channel", "placed"])
def test_null_is_a_missing_value(root: Path, column: str) -> None:
    model = TinyModel()
    predictor(root, model).predict([{**ROW, column: None}], now_us=NOW)
    name = "hour_placed" if column == "placed" else column
    assert model.seen[0][name].to_pylist() == [None]


@pytest.mark.parametrize("customer", ["nobody", None])
def test_an_unknown_entity_is_missing_and_predicted_by_default(root: Path, customer: str | None) -> None:
    model = TinyModel(offset=0.2)
    (answer,) = predictor(root, model).predict([{**ROW, "customer_id": customer}], now_us=NOW)
    assert answer.features[VIEW].status == "MISSING"
    assert answer.value == pytest.approx(0.2)
    assert answer.reason == f"{VIEW} is MISSING"
    assert model.seen[0][MEAN].to_pylist() == [None]


def test_abstaining_gives_no_probability_but_a_logged_answer(root: Path) -> None:
    rows = [ROW, {**ROW, "customer_id": "nobody"}]
    fresh, missing = predictor(root, policy="abstain").predict(rows, now_us=NOW)
    assert fresh.value is not None
    assert missing.value is None
    assert missing.reason == f"{VIEW} is MISSING"
    logged = {item.id: item.probability for item in PredictionLog(root, "shop").read()}
    assert logged == {fresh.id: fresh.value, missing.id: None}


def test_failing_on_stale_features_says_what_to_do(root: Path) -> None:
    later = NOW + DAY
    row = {**ROW, "placed": "2024-03-02T14:00:00Z"}
    (answer,) = predictor(root).predict([row], now_us=later)
    assert (answer.features[VIEW].status, answer.features[VIEW].age_us) == ("STALE", DAY)
    with pytest.raises(UnavailableError, match=f"not fresh.*{VIEW} is STALE.*HEADRACE_STALE_POLICY"):
        predictor(root, policy="fail").predict([row], now_us=later)
    assert len(PredictionLog(root, "shop")) == 1


@pytest.mark.parametrize(
    ("placed_in_us", "flags"),
    [
        (2 * HOUR, ()),
        (2 * HOUR - TICK, ()),
        (2 * HOUR - TICK - 1, ("lead_time_unusual",)),
        (2 * HOUR + TICK + 1, ("lead_time_unusual",)),
        (-HOUR, ("lead_time_unusual",)),
    ],
)
def test_an_unusual_lead_time_is_flagged(root: Path, placed_in_us: int, flags: tuple[str, ...]) -> None:
    placed = str(np.datetime64(NOW + placed_in_us, "us")) + "Z"
    (answer,) = predictor(root).predict([{**ROW, "placed": placed}], now_us=NOW)
    assert answer.flags == flags


def test_a_service_that_is_not_published_is_not_found(root: Path) -> None:
    with pytest.raises(NotFoundError, match="no feature service 'other'"):
        predictor(root, TinyModel(service="other")).predict([ROW], now_us=NOW)


def test_a_model_that_gives_no_number_is_an_error(root: Path) -> None:
    with pytest.raises(DataError, match=r"version 1: the model gave no number"):
        predictor(root, TinyModel(offset=float("nan"))).predict([ROW], now_us=NOW)


def test_no_rows_no_answers(root: Path) -> None:
    assert predictor(root).predict([], now_us=NOW) == []
