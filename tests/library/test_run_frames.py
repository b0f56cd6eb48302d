"""A problem of data frames: run by the pipeline, identified by contents, its champion an estimator."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import fields as fields_of
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.metrics import roc_auc_score

import headrace
from headrace.core.errors import DataError, HeadraceError, NotFoundError
from headrace.core.settings import settings
from headrace.library.champion import ChampionClassifier
from headrace.prediction_log.log import PredictionLog
from headrace.schema import Costs, Problem
from tests.docs.notebooks import execute

pytestmark = pytest.mark.slow


def shop(names: Mapping[str, Any], **options: Any) -> Problem:
    """The notebook's problem, declared again from its frames."""
    fields = {field.name: getattr(names["problem"], field.name) for field in fields_of(Problem)}
    return Problem(**{**fields, **options})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
            patch.delenv(name, raising=False)
        settings.cache_clear()
        yield tmp_path_factory.mktemp("shop") / "home"
    settings.cache_clear()


@pytest.fixture(scope="module")
def shown(home: Path) -> dict[str, Any]:
    """What docs/notebooks/serving.ipynb defines, executed with its state in `home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home.parent)
        return execute("serving")


def test_frames_run_to_a_champion_and_equal_frames_are_cached(shown: dict[str, Any], home: Path) -> None:
    first, problem = shown["report"], shown["problem"]
    assert first.champion["version"] == "1"
    assert not any(stage.cached for stage in first.stages)
    tables = tuple(replace(table, source=table.source.copy()) for table in problem.entity_set.tables)
    equal = shop(shown, entity_set=replace(problem.entity_set, tables=tables))
    again = headrace.run(equal, home=home, workers=1)
    assert {stage.name for stage in again.stages if not stage.cached} == set()
    assert again.champion == first.champion


def test_the_champion_predicts_what_production_predicted(shown: dict[str, Any], home: Path) -> None:
    model = shown["champion"]
    logged = PredictionLog(home, "frame_shop").read()
    assert len(logged) == 30
    rows = shown["orders"].set_index("order_id").loc[[one.row_key[0] for one in logged]]
    found = model.predict_proba(rows.drop(columns=["refunded", "settled"]))
    # Features are equal; LightGBM and BLAS add in an order that depends on the number of rows.
    assert model.features(rows).astype(object).where(lambda frame: frame.notna(), None).to_dict("records") == [
        dict(one.features) for one in logged
    ]
    np.testing.assert_allclose(found[:, 1], [one.probability for one in logged], rtol=0, atol=1e-6)
    assert found.shape == (30, 2)


def test_it_is_an_estimator(shown: dict[str, Any], home: Path) -> None:
    model, orders = shown["champion"], shown["orders"]
    assert isinstance(model, ChampionClassifier)
    assert is_classifier(model)
    assert repr(model) == f"ChampionClassifier(problem='frame_shop', home={home!r}, version=None)"
    assert model._repr_mimebundle_() == {"text/plain": repr(model)}
    assert list(model.classes_) == [False, True]
    rows = orders.tail(60)
    assert set(model.columns) <= set(rows)
    probability = model.predict_proba(rows)[:, 1]
    assert list(model.predict(rows)) == list(probability >= 0.5)
    assert model.score(rows, rows["refunded"] > 0) > 0.5
    assert roc_auc_score(rows["refunded"] > 0, probability) > 0.6
    for other in (clone(model), pickle.loads(pickle.dumps(model))):
        assert list(other.predict_proba(rows)[:, 1]) == list(probability)
    costly = headrace.champion(shop(shown, costs=Costs(false_positive=1, false_negative=9)), home=home)
    assert costly.predict(rows).sum() == (probability >= 0.1).sum()
    with pytest.raises(HeadraceError, match="fitted already"):
        model.fit(rows)


def test_a_bundle_is_an_estimator_of_a_matrix(shown: dict[str, Any], home: Path, tmp_path: Path) -> None:
    rows, champion = shown["orders"].tail(20), shown["champion"]
    (folder,) = (home / "registry" / "frame_shop" / "bundles").iterdir()
    model = headrace.load_model(folder)
    matrix = champion.features(rows)
    assert list(matrix) == list(model.feature_names_in_)
    assert list(model.predict_proba(matrix)[:, 1]) == list(champion.predict_proba(rows)[:, 1])  # type: ignore[union-attr]
    with pytest.raises(DataError, match="columns are missing"):
        model.predict(matrix.iloc[:, 1:])
    with pytest.raises(NotFoundError, match=r"no model bundle"):
        headrace.load_model(tmp_path)
    (tmp_path / "model.skops").write_bytes(b"")
    with pytest.raises(NotFoundError, match="ensemble of `headrace automl`"):
        headrace.load_model(tmp_path)


WRONG: dict[str, tuple[Any, str]] = {
    "a column gone": (lambda rows: rows.drop(columns=["amount"]), "rows: lacks amount.*give every one of customer_id"),
    "a text for a number": (lambda rows: rows.assign(amount="dear"), "rows.amount, row 1: text in a numeric column"),
    "no time": (lambda rows: rows.assign(placed=pd.NaT), "rows have no cutoff|no time"),
    "a time without a zone": (lambda rows: rows.assign(placed=rows["placed"].dt.tz_localize(None)), "no time zone"),
    "no frame": (lambda rows: [1], "rows: a list is no data frame"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_rows_are_said(case: str, shown: dict[str, Any], home: Path) -> None:
    spoil, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        shown["champion"].predict(spoil(shown["orders"].tail(5)))


def test_no_champion(shown: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"frame_shop: there is no champion.*headrace.run"):
        headrace.champion(shown["problem"], home=tmp_path)
