"""A problem of data frames: run by the pipeline, identified by contents, its champion an estimator."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.metrics import roc_auc_score

import headrace
from headrace.core.errors import CorruptError, DataError, HeadraceError, NotFoundError
from headrace.core.settings import settings
from headrace.lake.predictions import PredictionLog
from headrace.library.champion import ChampionClassifier
from headrace.pipeline.report import RunReport
from headrace.schema import Costs, EntitySet, Problem, Relationship, Replay, Table, each_row


def frames(days: int = 60) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(7)
    customers = pd.DataFrame({"customer_id": [f"c{i:02d}" for i in range(20)], "discount": rng.uniform(0, 0.3, 20)})
    careless = rng.uniform(0, 1, 20)
    placed = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(10 * days) * 2.4, unit="h")
    who, amount = rng.integers(0, 20, len(placed)), rng.lognormal(3, 0.6, len(placed)).round(2)
    orders = pd.DataFrame(
        {
            "order_id": np.arange(len(placed)),
            "customer_id": customers["customer_id"].to_numpy()[who],
            "placed": placed,
            "amount": amount,
            "refunded": np.where(rng.random(len(placed)) < careless[who] * np.minimum(1, amount / 30), amount, 0.0),
            "settled": placed + pd.Timedelta("2d"),
        }
    )
    return {"customers": customers, "orders": orders}


def shop(data: dict[str, pd.DataFrame], **options: Any) -> Problem:
    tables = (
        Table(name="customers", key="customer_id", source=data["customers"]),
        Table(name="orders", key="order_id", time="placed", known_at={"refunded": "settled"}, source=data["orders"]),
    )
    fields: dict[str, Any] = {"label": "refunded > 0", "lookbacks": ("1d", "7d"), "trials": 2, **options}
    return Problem(
        name=options.pop("name", "frame_shop"),
        entity_set=EntitySet(
            tables=tables, relationships=(Relationship("customers.customer_id", "orders.customer_id"),)
        ),
        spine=each_row("orders", cutoff="placed"),
        **fields,
    )


FEED = Replay(start="2024-02-15", step="1d", steps=3)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
            patch.delenv(name, raising=False)
        settings.cache_clear()
        yield tmp_path_factory.mktemp("home")
    settings.cache_clear()


@pytest.fixture(scope="module")
def report(home: Path) -> RunReport:
    return headrace.run(shop(frames(), feed=FEED), home=home, workers=1)


def test_frames_run_to_a_champion_and_equal_frames_are_cached(report: RunReport, home: Path) -> None:
    assert report.champion["version"] == "1"
    again = headrace.run(shop(frames(), feed=FEED), home=home, workers=1)
    assert {stage.name for stage in again.stages if not stage.cached} == set()
    assert again.champion == report.champion


def test_the_champion_predicts_what_production_predicted(report: RunReport, home: Path) -> None:
    data = frames()
    model = headrace.champion(shop(data, feed=FEED), home=home)
    logged = PredictionLog(home, "frame_shop").read()
    assert len(logged) == 30
    rows = data["orders"].set_index("order_id").loc[[one.row_key[0] for one in logged]]
    found = model.predict_proba(rows.drop(columns=["refunded", "settled"]))  # type: ignore[union-attr]
    np.testing.assert_allclose(found[:, 1], [one.probability for one in logged], rtol=0, atol=1e-12)
    assert found.shape == (30, 2)


def test_it_is_an_estimator(report: RunReport, home: Path) -> None:
    data = frames()
    model = headrace.champion(shop(data, feed=FEED), home=home)
    assert isinstance(model, ChampionClassifier)
    assert is_classifier(model)
    assert list(model.classes_) == [False, True]
    rows = data["orders"].tail(60)
    assert set(model.columns) <= set(rows)
    probability = model.predict_proba(rows)[:, 1]
    assert list(model.predict(rows)) == list(probability >= 0.5)
    assert model.score(rows, rows["refunded"] > 0) > 0.5
    assert roc_auc_score(rows["refunded"] > 0, probability) > 0.6
    for other in (clone(model), pickle.loads(pickle.dumps(model))):
        assert list(other.predict_proba(rows)[:, 1]) == list(probability)
    costly = headrace.champion(shop(data, feed=FEED, costs=Costs(false_positive=1, false_negative=9)), home=home)
    assert costly.predict(rows).sum() == (probability >= 0.1).sum()
    with pytest.raises(HeadraceError, match="fitted already"):
        model.fit(rows)


def test_a_bundle_is_an_estimator_of_a_matrix(report: RunReport, home: Path, tmp_path: Path) -> None:
    data = frames()
    rows = data["orders"].tail(20)
    champion = headrace.champion(shop(data, feed=FEED), home=home)
    (folder,) = (home / "registry" / "frame_shop" / "bundles").iterdir()
    model = headrace.load_model(folder)
    matrix = champion.features(rows)
    assert list(matrix) == list(model.feature_names_in_)
    assert list(model.predict_proba(matrix)[:, 1]) == list(champion.predict_proba(rows)[:, 1])  # type: ignore[union-attr]
    with pytest.raises(DataError, match="columns are missing"):
        model.predict(matrix.iloc[:, 1:])
    with pytest.raises(NotFoundError, match=r"no model bundle"):
        headrace.load_model(tmp_path)
    assert CorruptError  # tests/models damages bundles


WRONG: dict[str, tuple[Any, str]] = {
    "a column gone": (lambda rows: rows.drop(columns=["amount"]), "rows: lacks amount.*give every one of customer_id"),
    "a text for a number": (lambda rows: rows.assign(amount="dear"), "rows.amount, row 1: text in a numeric column"),
    "no time": (lambda rows: rows.assign(placed=pd.NaT), "rows have no cutoff|no time"),
    "a time without a zone": (lambda rows: rows.assign(placed=rows["placed"].dt.tz_localize(None)), "no time zone"),
    "no frame": (lambda rows: [1], "rows: a list is no data frame"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_rows_are_said(case: str, report: RunReport, home: Path) -> None:
    spoil, message = WRONG[case]
    data = frames()
    with pytest.raises(DataError, match=message):
        headrace.champion(shop(data, feed=FEED), home=home).predict(spoil(data["orders"].tail(5)))


def test_no_champion(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"frame_shop: there is no champion.*headrace.run"):
        headrace.champion(shop(frames()), home=tmp_path)
