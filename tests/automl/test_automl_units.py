"""What units do not change: the scale of weights, the origin of a target; and classes too rare to be learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headrace.automl import HeadraceClassifier, HeadraceRegressor
from headrace.automl.bundle import load_model, save_model
from headrace.automl.sizing import divide, sampled_rows
from headrace.core.errors import DataError
from tests.automl.learning import LINEAR, QUICK, table

ONE_FIT: dict[str, Any] = {**QUICK, "families": ("xgboost",), "portfolio": []}


@pytest.mark.parametrize("family", ["xgboost", "linear"])
def test_a_common_factor_of_the_weights_changes_nothing(family: str) -> None:
    X, y = table(300)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 300)
    options: dict[str, Any] = {**ONE_FIT, "families": (family,)}
    plain = HeadraceRegressor(**options).fit(X, y, weights)
    for factor in (2.0**-20, 2.0**10):
        scaled = HeadraceRegressor(**options).fit(X, y, weights * factor)
        np.testing.assert_allclose(scaled.predict(X), plain.predict(X))


@pytest.mark.parametrize(("family", "origin"), [("xgboost", 1.7e9), ("linear", -1e12)])
def test_a_target_with_a_far_origin_is_learned_as_well(family: str, origin: float, tmp_path: Path) -> None:
    X, y = table(300)
    y = np.round(y * 64)  # whole numbers: the origin is added without an error
    options: dict[str, Any] = {**ONE_FIT, "families": (family,)}
    near, far = HeadraceRegressor(**options).fit(X, y), HeadraceRegressor(**options).fit(X, y + origin)
    near_error, far_error = np.std(near.predict(X) - y), np.std(far.predict(X) - (y + origin))
    assert far_error == pytest.approx(near_error, rel=0.1, abs=1.0)
    save_model(far.model_, tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict(X)[:, 0], far.predict(X))
    (member,) = far.model_.members
    np.testing.assert_allclose(far.model_.only(member).predict(X)[:, 0], far.predict(X), rtol=1e-12)


def test_quantiles_of_a_target_with_a_far_origin() -> None:
    X, y = table(300)
    model = HeadraceRegressor(**{**QUICK, "families": ("lightgbm",)}, quantiles=(0.1, 0.9)).fit(X, y + 1e9)
    low, high = (model.predict(X) - 1e9).T
    assert 0.6 < np.mean((low <= y) & (y <= high)) < 1.0


def test_a_target_too_large_to_compute_with_is_refused() -> None:
    X, y = table(60)
    with pytest.raises(DataError, match=r"target: numbers beyond 1e\+18. found: .*divide the target"):
        HeadraceRegressor(**LINEAR).fit(X, y * 1e39)


def test_a_class_of_one_row_is_refused_at_once() -> None:
    X, _ = table(60)
    with pytest.raises(DataError, match=r"a fold trains on are of one class. found: False: 59 rows, True: 1 rows"):
        HeadraceClassifier(seconds=600).fit(X, np.arange(60) == 30)


def test_a_first_half_of_one_class_is_refused_at_once() -> None:
    X, _ = table(60)
    with pytest.raises(DataError, match="choose another validation"):
        HeadraceClassifier(seconds=600, validation="time", time="day").fit(
            X, (X["day"].rank() > 40).map({True: "late", False: "early"})
        )


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_a_class_for_almost_every_row_is_refused_at_once() -> None:
    X, y = table(60)
    prices = pd.Series([f"${one:.4f}" for one in y])
    with pytest.raises(DataError, match=r"60 of 60 classes have one row.*learn numbers as such"):
        HeadraceClassifier(seconds=600).fit(X, prices)


def test_a_sample_has_rows_of_every_class() -> None:
    classes = np.zeros(60_000)
    classes[[5, 7]] = 1
    classes[100:180] = 2
    rows = sampled_rows(60_000, 20_000, seed=0, classes=classes)
    assert np.bincount(classes[rows].astype(int))[1:].tolist() == [2, 50]
    assert 20_000 <= len(rows) <= 20_052
    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize(("seconds", "least"), [(60.0, 0.85), (600.0, 0.9), (1800.0, 0.93)])
def test_little_of_a_long_budget_is_set_aside(seconds: float, least: float) -> None:
    with_stack, without = divide(seconds, 0.0, refit="no", stack=True), divide(seconds, 0.0, refit="no")
    assert without.search >= 0.95 * seconds
    assert with_stack.search >= least * seconds
    beside = divide(seconds, 0.0, refit="beside")
    assert without.search - beside.search == pytest.approx(beside.refit)
    assert 0.02 * seconds < beside.refit <= 0.08 * seconds
