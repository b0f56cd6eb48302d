"""rmsle and quantiles: each metric's own objective, through search, fit and a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.core.errors import DataError
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design
from headrace.models.ensemble import load_fitted
from headrace.models.families import get_family, warm_start
from headrace.models.log_scale import FittedLogScale
from headrace.models.recipe import fit_recipe, fit_rounds

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1_500, 3))
#: Skewed numbers, whose noise grows with their size.
Y = np.exp(1 + X[:, 0] + RNG.normal(0, 0.7, 1_500))
DESIGN = Design(X=X, names=("a", "b", "c"), categorical=())
TRAIN, VALID = np.arange(1_000), np.arange(1_000, 1_500)


def _fitted(family: str, metric: str) -> np.ndarray:
    config = warm_start((family,))[0]
    recipe = fit_rounds(config, DESIGN, Y, [(TRAIN, VALID)], metric=metric).recipe
    return fit_recipe(recipe, DESIGN, Y, metric=metric, rows=TRAIN).predict(DESIGN.rows(VALID))


@pytest.mark.parametrize("family", ["lightgbm", "linear"])
def test_each_metric_is_best_under_its_own_objective(family: str) -> None:
    names = ("rmse", "rmsle", "quantile_0.9", "quantile_0.1")
    predicted = {name: _fitted(family, name) for name in names}
    for name in ("rmsle", "quantile_0.9", "quantile_0.1"):
        values = {other: METRICS[name].value(Y[VALID], predicted[other]) for other in names}
        assert min(values, key=lambda other: values[other]) == name, values
    for level in (0.1, 0.9):
        assert (Y[VALID] < predicted[f"quantile_{level}"]).mean() == pytest.approx(level, abs=0.06)


@pytest.mark.parametrize("family", ["xgboost", "catboost"])
def test_other_families_fit_quantiles_too(family: str) -> None:
    pytest.importorskip(family)
    assert (Y[VALID] < _fitted(family, "quantile_0.8")).mean() == pytest.approx(0.8, abs=0.07)


def test_the_loss_of_the_folds_is_the_metric() -> None:
    result = fit_rounds(warm_start(("lightgbm",))[0], DESIGN, Y, [(TRAIN, VALID)], metric="rmsle")
    assert METRICS["rmsle"].value(Y[VALID], result.predicted[0]) == pytest.approx(result.loss, rel=0.02)


def test_a_model_on_the_log_scale_is_the_same_from_its_file(tmp_path: Path) -> None:
    config = get_family("lightgbm").default()
    recipe = fit_rounds({"family": "lightgbm", **{f"lightgbm.{name}": value for name, value in config.items()}},
                        DESIGN, Y, [(TRAIN, VALID)], metric="rmsle").recipe  # fmt: skip
    fitted = fit_recipe(recipe, DESIGN, Y, metric="rmsle")
    assert isinstance(fitted, FittedLogScale)
    fitted.save(tmp_path)
    again = load_fitted("lightgbm", tmp_path)
    np.testing.assert_array_equal(again.predict(DESIGN), fitted.predict(DESIGN))
    total = np.log1p(fitted.predict(DESIGN)) - fitted.contributions(DESIGN).sum(axis=1)
    assert np.ptp(total) < 1e-6  # the mean, on the log scale


def test_negative_labels_are_refused() -> None:
    with pytest.raises(DataError, match="a label is negative"):
        fit_rounds(warm_start(("lightgbm",))[0], DESIGN, Y - 5, [(TRAIN, VALID)], metric="rmsle")
