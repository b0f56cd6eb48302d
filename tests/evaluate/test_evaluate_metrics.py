"""Metrics against scikit-learn, and their grouped form against plain recomputation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from headrace.core.errors import DataError
from headrace.evaluate import metrics as module
from headrace.evaluate.metrics import METRICS, metrics_beside
from headrace.schema import metrics as declared


def _data(seed: int, n: int = 300, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.3).astype(float)
    label[:2] = 0.0, 1.0
    prediction = np.clip(0.3 * label + rng.random(n) * 0.7, 0.01, 0.99)
    return label, np.round(prediction, 1) if ties else prediction


@settings(deadline=None)  # the first call imports scikit-learn
@given(seed=st.integers(0, 10_000), ties=st.booleans())
def test_values_equal_scikit_learn(seed: int, ties: bool) -> None:
    y, p = _data(seed, ties=ties)
    assert METRICS["auc"].value(y, p) == pytest.approx(sk.roc_auc_score(y, p), abs=1e-12)
    inside = np.clip(p, 0.05, 0.95)
    assert METRICS["log_loss"].value(y, inside) == pytest.approx(sk.log_loss(y, inside), abs=1e-12)
    assert METRICS["brier"].value(y, p) == pytest.approx(sk.brier_score_loss(y, p), abs=1e-12)
    assert METRICS["rmse"].value(y, p) == pytest.approx(sk.root_mean_squared_error(y, p), abs=1e-12)
    assert METRICS["mae"].value(y, p) == pytest.approx(sk.mean_absolute_error(y, p), abs=1e-12)
    assert METRICS["average_precision"].value(y, p) == pytest.approx(sk.average_precision_score(y, p), abs=1e-12)
    assert METRICS["ndcg"].value(y, p) == pytest.approx(sk.ndcg_score([y], [p]), abs=1e-12)
    assert METRICS["rmsle"].value(y, p) == pytest.approx(sk.root_mean_squared_log_error(y, p), abs=1e-12)
    for level in (0.1, 0.5, 0.9):
        expected = sk.mean_pinball_loss(y, p, alpha=level)
        assert METRICS[f"quantile_{level}"].value(y, p) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [*sorted(METRICS), "quantile_0.8"])
def test_resampled_equals_repeating_the_rows(name: str) -> None:
    """The twin: build each resample's rows and measure them plainly."""
    metric = METRICS[name]
    y, p = _data(3)
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 6, len(y))
    weights = rng.multinomial(6, np.full(6, 1 / 6), size=20).astype(float)
    fast = metric.resampled(y, p, groups, weights)
    for row, value in zip(weights, fast, strict=True):
        picked = np.repeat(np.arange(len(y)), row[groups].astype(int))
        assert value == pytest.approx(metric.value(y[picked], p[picked]), abs=1e-12)


def test_direction() -> None:
    y = np.array([0.0, 0, 1, 1])
    good, bad = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.9, 0.2, 0.8, 0.1])
    for metric in METRICS.values():
        assert metric.loss(y, good) < metric.loss(y, bad)
        assert metric.sign * (metric.value(y, good) - metric.value(y, bad)) > 0


def test_hand_computed() -> None:
    y, p = np.array([0.0, 1, 0, 1]), np.array([0.2, 0.2, 0.4, 0.9])
    assert METRICS["auc"].value(y, p) == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert METRICS["brier"].value(y, p) == pytest.approx((0.04 + 0.64 + 0.16 + 0.01) / 4)
    assert METRICS["mae"].value(y, p) == pytest.approx((0.2 + 0.8 + 0.4 + 0.1) / 4)
    # .9 is right: half of the positives at a precision of 1; of .2, a tie, one of two: all of them at 2 of 4
    assert METRICS["average_precision"].value(y, p) == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)


def test_the_constant_is_the_best_prediction_without_features() -> None:
    y = np.array([0.0, 0, 0, 1, 9])
    for metric in (METRICS[name] for name in ("rmse", "mae", "rmsle", "quantile_0.3", "quantile_0.75")):
        best = metric.value(y, np.full(5, metric.constant(y)))
        assert all(best <= metric.value(y, np.full(5, other)) for other in np.linspace(0, 9, 91))


def test_a_resample_of_one_class_has_no_rank() -> None:
    y, p, groups = np.array([0.0, 0, 1]), np.array([0.1, 0.2, 0.9]), np.array([0, 0, 1])
    for metric in METRICS.values():
        found = metric.resampled(y, p, groups, np.array([[2.0, 0.0], [1.0, 1.0]]))
        assert np.isfinite(found[1])
        assert np.isfinite(found[0]) == (not metric.ranks)


def test_average_precision_in_slices_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    y, p = _data(5)
    groups, weights = np.arange(300) % 7, np.random.default_rng(0).integers(0, 3, (50, 7)).astype(float)
    whole = METRICS["average_precision"].resampled(y, p, groups, weights)
    monkeypatch.setattr(module, "_SLICE", 900)
    np.testing.assert_array_equal(METRICS["average_precision"].resampled(y, p, groups, weights), whole)


def test_a_quantile_is_known_by_its_level() -> None:
    assert "quantile_0.9" in METRICS
    assert METRICS["quantile_0.9"].level == 0.9
    for name in ("quantile_", "quantile_1", "quantile_high", "median"):
        assert name not in METRICS
        with pytest.raises(KeyError):
            METRICS[name]


def test_negative_labels_have_no_logarithm() -> None:
    y, p = np.array([-1.0, 2.0]), np.array([0.0, -3.0])
    with pytest.raises(DataError, match="a label is negative"):
        METRICS["rmsle"].value(y, p)
    assert set(metrics_beside("mae", y)) == {"mae", "rmse"}
    assert set(metrics_beside("quantile_0.2", -y[:1])) == {"quantile_0.2", "mae", "rmse", "rmsle"}
    assert METRICS["rmsle"].value(y[1:], p[1:]) == pytest.approx(np.log(3))  # a negative prediction counts as 0


def test_a_declaration_knows_every_metric_and_which_labels_it_measures() -> None:
    assert set(declared.METRICS) == set(METRICS)
    assert set(declared.BINARY_METRICS) == {name for name, metric in METRICS.items() if metric.binary}


@pytest.mark.parametrize(
    ("label", "prediction", "message"),
    [
        ([0.0, np.nan], [0.1, 0.2], "label: 1 of 2 values are NaN or infinite"),
        ([0.0, np.inf], [0.1, 0.2], "label: 1 of 2"),
        ([0.0, 1.0], [0.1, np.nan], "prediction: 1 of 2"),
        ([0.0, 0.0], [0.1, 0.2], "one class only"),
        ([0.0, 2.0], [0.1, 0.2], "must be 0 or 1"),
        ([0.0, 1.0], [0.1], "have different shapes"),
    ],
)
def test_meaningless_input_is_refused(label: list[float], prediction: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        METRICS["auc"].value(np.array(label), np.array(prediction))
