"""The mean absolute percentage error is optimised by weights: its minimiser is the median weighted by 1 / |y|."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headrace.automl.families.protocol import Fit, Rows
from headrace.automl.task.task import Task
from headrace.automl.trials.fitting import fit_config
from headrace.models.design import Design

CONFIG = {
    "family": "lightgbm", "lightgbm.learning_rate": 0.1, "lightgbm.num_leaves": 7, "lightgbm.min_data_in_leaf": 20,
    "lightgbm.feature_fraction": 1.0, "lightgbm.bagging_fraction": 1.0, "lightgbm.lambda_l2": 1e-3,
    "lightgbm.max_bin": 63, "lightgbm.extra_trees": False, "lightgbm.categories": "codes",
    "lightgbm.constructions": False,
}  # fmt: skip


def rows(seed: int, n: int = 600) -> Rows:
    """A number that depends on one column, times a wide lognormal noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2)).astype(np.float32)
    return Rows(design=Design(X=X, names=("a", "b"), categorical=()), label=np.exp(X[:, 0] + rng.normal(size=n)))


def error_of(metric: str, scale: str) -> float:
    """Percentage error on new rows of a model that is fitted for a metric."""
    fit = Fit(task=Task(kind="regression", metric=metric))
    model = fit_config({**CONFIG, "target_scale": scale}, rows(0), rows(1), fit)
    test = rows(2)
    return float(np.mean(np.abs(model.predict(test.design)[:, 0] - test.label) / test.label))


@pytest.mark.parametrize("scale", ["none", "log"])
def test_a_model_for_mape_has_a_smaller_percentage_error_than_one_for_mae(scale: str) -> None:
    assert error_of("mape", scale) < 0.8 * error_of("mae", scale)


def test_zeros_and_sample_weights_are_taken() -> None:
    train, fit = rows(0), Fit(task=Task(kind="regression", metric="mape"), rounds=5)
    zeros = replace(train, label=np.where(np.arange(600) % 10 == 0, 0.0, train.label), weight=np.full(600, 2.0))
    assert np.isfinite(fit_config(CONFIG, zeros, None, fit).predict(train.design)).all()
    equal = replace(train, weight=np.ones(600))
    predictions = [fit_config(CONFIG, one, None, fit).predict(train.design) for one in (train, equal)]
    np.testing.assert_allclose(*predictions)
