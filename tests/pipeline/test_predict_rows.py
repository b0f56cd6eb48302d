"""`headrace predict`: any rows at their own cutoffs, and what is wrong with some."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.app.context import context_of
from headrace.lake.store import Lake
from headrace.pipeline.operations.predict_rows import predict_rows
from headrace.pipeline.production import scoring
from headrace.pipeline.production.scoring import score_window
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from tests.cli.command import Outcome, headrace
from tests.pipeline.shop import Shop

AT = datetime(2024, 2, 20, 12, tzinfo=UTC)


def rows(**columns: object) -> pa.Table:
    usual = {"customer_id": ["c01", "c02", "c03"], "cutoff": [AT, AT, AT + timedelta(days=1)],
             "amount": [10.0, 20.0, 30.0], "channel": ["web", "shop", "web"]}  # fmt: skip
    return pa.table({name: value for name, value in {**usual, **columns}.items() if value is not None})


def predict(shop: Shop, table: pa.Table, tmp_path: Path, *options: str) -> Outcome:
    pq.write_table(table, tmp_path / "rows.parquet")
    out = str(tmp_path / "out.parquet")
    return headrace("predict", str(shop.path), str(tmp_path / "rows.parquet"), "--out", out, *options, home=shop.home)


def test_rows_are_predicted_in_their_order(ran: Shop, tmp_path: Path) -> None:
    outcome = predict(ran, rows(), tmp_path, "--json")
    assert json.loads(outcome.out)["rows"] == 3
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["customer_id"].to_pylist() == ["c01", "c02", "c03"]
    assert found["cutoff"].to_pylist() == rows()["cutoff"].to_pylist()
    assert ((found["prediction"].to_numpy() > 0) & (found["prediction"].to_numpy() < 1)).all()
    assert found["unknown"].to_pylist() == ["", "", ""]


@pytest.mark.parametrize("slice_rows", [7, 20_000])
def test_predictions_are_those_of_production(
    ran: Shop, copy: Shop, monkeypatch: pytest.MonkeyPatch, slice_rows: int
) -> None:
    """The same rows scored by the path of production, through the feature store, at once and in slices."""
    monkeypatch.setattr(scoring, "_SLICE_ROWS", slice_rows)
    context = context_of(str(copy.path), copy.home, workers=1)
    record, clock = Ledger(copy.home, "shop").champion(), Lake(copy.home, "shop").clock()
    assert record is not None
    assert clock is not None
    since = clock - 10 * 86_400_000_000
    count = score_window(context, record, since, clock, clock)
    assert count > 7
    with PredictionLog(copy.home, "shop") as log:
        logged = {item.row_key[0]: item for item in log.read() if item.source == "score"}
    assert len(logged) >= count
    orders = context.problem.entity_set.table("orders").source.read()
    chosen = orders.filter(pa.array([value in logged for value in orders["order_id"].to_pylist()]))
    result = predict_rows(context, chosen.select(["order_id", "customer_id", "placed", "amount", "channel"]))
    expected = [logged[value].probability for value in chosen["order_id"].to_pylist()]
    np.testing.assert_array_equal(result.table["prediction"].to_numpy(), expected)


def test_the_same_row_twice_is_predicted_twice_and_equally(ran: Shop, tmp_path: Path) -> None:
    twice = pa.concat_tables([rows().slice(0, 1)] * 2)
    predict(ran, twice, tmp_path)
    first, second = pq.read_table(tmp_path / "out.parquet")["prediction"].to_pylist()
    assert first == second


def test_an_unknown_or_empty_key_is_predicted_and_named(ran: Shop, tmp_path: Path) -> None:
    outcome = predict(ran, rows(customer_id=["c01", "c99", None]), tmp_path)
    assert "2 rows have a key that is empty or unknown" in outcome.out
    assert pq.read_table(tmp_path / "out.parquet")["unknown"].to_pylist() == ["", "customer_id", "customer_id"]


def test_a_column_that_the_model_reads_may_be_missing(ran: Shop, tmp_path: Path) -> None:
    outcome = predict(ran, rows(amount=None, channel=None), tmp_path)
    assert outcome.code == 0
    assert "which the rows lack" in outcome.out


def test_a_named_version_predicts(ran: Shop, tmp_path: Path) -> None:
    assert "predicted by version 1" in predict(ran, rows(), tmp_path, "--version", "1").out
    outcome = predict(ran, rows(), tmp_path, "--version", "99")
    assert outcome.code == 1
    assert outcome.errors


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows().slice(0, 0), "no rows to predict"),
        (rows(customer_id=None), "no column 'customer_id'"),
        (rows(cutoff=None), "no column of cutoffs"),
        (rows(cutoff=[AT, None, AT]), "1 cutoffs are empty"),
        (rows(cutoff=["noon", "noon", "noon"]), "not a time: 'noon'"),
        (rows(cutoff=[datetime(2024, 2, 20)] * 3), "no time zone"),
        (rows(customer_id=[1, 2, 3]), "int64 values where the lake has string"),
        (rows(amount=["dear", "cheap", "free"]), "string values where the lake has double"),
    ],
)
def test_what_cannot_be_predicted_is_an_error_in_one_line(
    ran: Shop, tmp_path: Path, table: pa.Table, message: str
) -> None:
    outcome = predict(ran, table, tmp_path)
    assert outcome.code == 1
    assert message in outcome.err
    assert len(outcome.errors) == 1
    assert not (tmp_path / "out.parquet").exists()


def test_without_a_champion_there_is_an_error(ran: Shop, tmp_path: Path) -> None:
    pq.write_table(rows(), tmp_path / "rows.parquet")
    outcome = headrace("predict", str(ran.path), str(tmp_path / "rows.parquet"), home=tmp_path / "home")
    assert "no champion" in outcome.err


def test_a_file_of_another_kind_is_an_error(ran: Shop, tmp_path: Path) -> None:
    pq.write_table(rows(), tmp_path / "rows.parquet")
    arguments = ("predict", str(ran.path), str(tmp_path / "rows.parquet"), "--out", str(tmp_path / "out.xlsx"))
    assert "neither .parquet nor .csv" in headrace(*arguments, home=ran.home).err
