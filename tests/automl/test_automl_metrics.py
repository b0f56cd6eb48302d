"""Metrics of tasks against scikit-learn's, with and without weights, and their direction."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from headrace.automl.task.metrics import METRICS, metric_of
from headrace.automl.task.task import Task
from headrace.core.errors import DataError, DeclarationError

BINARY = Task(kind="binary", metric="auc", classes=(0, 1))
THREE = Task(kind="multiclass", metric="log_loss", classes=("a", "b", "c"))
NUMBER = Task(kind="regression", metric="rmse")
RNG = np.random.default_rng(0)
Y, P, W = RNG.integers(2, size=80) * 1.0, np.clip(np.round(RNG.random(80), 1), 0.01, 0.99), RNG.random(80)


@pytest.mark.parametrize("w", [None, W])
def test_binary_metrics_are_those_of_scikit_learn(w: np.ndarray | None) -> None:
    expected = {
        "auc": sklearn.metrics.roc_auc_score(Y, P, sample_weight=w),
        "average_precision": sklearn.metrics.average_precision_score(Y, P, sample_weight=w),
        "log_loss": sklearn.metrics.log_loss(Y, P, sample_weight=w),
        "brier": sklearn.metrics.brier_score_loss(Y, P, sample_weight=w),
        "f1": sklearn.metrics.f1_score(Y, P >= 0.5, sample_weight=w),
    }
    assert {name: METRICS[name].value(Y, P[:, None], w, BINARY) for name in expected} == pytest.approx(expected)


WEIGHT = st.just(0.0) | st.floats(0.01, 9.0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), WEIGHT), min_size=1, max_size=30))
def test_the_area_is_the_weight_of_the_pairs_in_the_right_order(rows: list[tuple[bool, int, float]]) -> None:
    pairs = [
        (w1 * w0, 1.0 if p1 > p0 else 0.5 if p1 == p0 else 0.0)
        for positive, p1, w1 in rows
        for negative, p0, w0 in rows
        if positive and not negative
    ]
    weight = sum(of_pair for of_pair, _ in pairs)
    expected = sum(of_pair * right for of_pair, right in pairs) / weight if weight > 1e-9 else None
    y, p, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = METRICS["auc"].value(y, p[:, None], w, BINARY)
    assert found == pytest.approx(expected) if expected is not None else 0 <= found <= 1


def test_metrics_of_three_classes() -> None:
    y = np.arange(90) % 3.0
    p = RNG.dirichlet(np.ones(3), 90)
    auc = sklearn.metrics.roc_auc_score(y, p, multi_class="ovr", average="weighted")
    assert METRICS["auc"].value(y, p, None, THREE) == pytest.approx(auc)
    w = RNG.random(90) ** 8
    weighted = sklearn.metrics.roc_auc_score(y, p, multi_class="ovr", average="weighted", sample_weight=w)
    assert METRICS["auc"].value(y, p, w, THREE) == pytest.approx(weighted)
    assert METRICS["log_loss"].value(y, p, None, THREE) == pytest.approx(sklearn.metrics.log_loss(y, p))
    assert METRICS["f1"].value(y, p, None, THREE) == pytest.approx(
        sklearn.metrics.f1_score(y, p.argmax(axis=1), average="macro")
    )


def test_metrics_of_numbers_and_quantiles() -> None:
    y, p = RNG.random(50) * 10, RNG.random((50, 2)) * 10
    log_error = sklearn.metrics.root_mean_squared_log_error(y, p[:, 0])
    assert METRICS["rmsle"].value(y, p[:, :1], None, NUMBER) == pytest.approx(log_error)
    levels = Task(kind="quantile", metric="pinball", quantiles=(0.2, 0.7))
    expected = np.mean([sklearn.metrics.mean_pinball_loss(y, p[:, i], alpha=a) for i, a in enumerate((0.2, 0.7))])
    assert METRICS["pinball"].value(y, p, None, levels) == pytest.approx(expected)
    assert METRICS["r2"].loss(y, p[:, :1], None, NUMBER) == -METRICS["r2"].value(y, p[:, :1], None, NUMBER)


def test_a_metric_must_fit_the_task_and_predictions_must_be_finite() -> None:
    with pytest.raises(DeclarationError, match="no metric 'rmse' for a binary target"):
        metric_of(Task(kind="binary", metric="rmse", classes=(0, 1)))
    with pytest.raises(DataError, match="NaN or infinite"):
        METRICS["rmse"].value(Y, np.full((80, 1), np.nan), None, NUMBER)
