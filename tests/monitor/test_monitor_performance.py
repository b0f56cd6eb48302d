"""Quality on matured labels: true drops are found, luck is not, and days count as days."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from headrace.core.clock import DAY
from headrace.monitor.evidence.performance import performance


def _rows(rng: np.random.Generator, n: int, signal: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and calibrated predictions for signal 1.5; with less the model sees less than it thinks."""
    score = rng.normal(size=n)
    label = (rng.random(n) < 1 / (1 + np.exp(1 - signal * score))).astype(float)
    return label, 1 / (1 + np.exp(1 - 1.5 * score))


def test_metrics_equal_scikit_learn_and_lie_in_their_interval() -> None:
    y, p = _rows(np.random.default_rng(0), 2000)
    found = performance(y, p)
    assert found.metrics["auc"].value == pytest.approx(roc_auc_score(y, p))
    assert found.metrics["log_loss"].value == pytest.approx(log_loss(y, p))
    assert all(measured.low <= measured.value <= measured.high for name, measured in found.metrics.items()
               if name != "calibration_error")  # fmt: skip
    assert not found.dropped
    assert found.positive_share == y.mean()


def test_calibration_error_by_hand() -> None:
    """Two groups of predictions, .2 and .8; half of each is true: off by .3 everywhere."""
    p = np.repeat([0.2, 0.8], 100)
    assert performance(np.tile([0.0, 1.0], 100), p).metrics["calibration_error"].value == pytest.approx(0.3)


def test_a_model_that_got_worse_is_found_against_rows_and_against_metrics() -> None:
    rng = np.random.default_rng(1)
    reference, current = _rows(rng, 4000), _rows(rng, 2000, signal=0.4)
    by_rows = performance(*current, reference_label=reference[0], reference_prediction=reference[1])
    by_metrics = performance(*current, reference_metrics={"auc": 0.79, "log_loss": 0.48})
    for found in (by_rows, by_metrics):
        assert found.dropped
        assert found.metrics["auc"].dropped
        assert found.metrics["auc"].drop > 0.1
        assert "auc" in found.note


def test_a_still_model_seldom_drops() -> None:
    rng = np.random.default_rng(2)
    found = []
    for _ in range(60):
        reference = _rows(rng, 2000)
        found.append(
            performance(*_rows(rng, 200), reference_label=reference[0], reference_prediction=reference[1], alpha=0.02)
        )
    assert sum(one.dropped for one in found) <= 5


def test_a_drop_within_the_margin_does_not_count() -> None:
    y, p = _rows(np.random.default_rng(3), 50_000)
    auc = performance(y, p).metrics["auc"].value
    near = performance(y, p, reference_metrics={"auc": auc + 0.015}).metrics["auc"]
    assert near.p_value < 0.002
    assert not near.dropped
    assert performance(y, p, reference_metrics={"auc": auc + 0.025}).metrics["auc"].dropped


def test_rows_of_one_bad_day_are_less_proof_than_as_many_rows_of_many_days() -> None:
    rng = np.random.default_rng(4)
    y, p = _rows(rng, 1400)
    bad = np.arange(1400) < 200
    y[bad] = 1 - y[bad]
    one_day, mixed = np.arange(1400) // 200 * DAY, rng.permutation(1400) // 200 * DAY
    options = {"reference_metrics": {"auc": 0.79}}
    clustered = performance(y, p, cutoffs_us=one_day, **options).metrics["auc"]  # type: ignore[arg-type]
    spread = performance(y, p, cutoffs_us=mixed, **options).metrics["auc"]  # type: ignore[arg-type]
    assert clustered.value == spread.value
    assert clustered.p_value > 10 * spread.p_value


def test_the_reference_has_had_luck_too() -> None:
    """Held to five days of a gate, a drop is less certain than held to metrics that are taken as exact."""
    rng = np.random.default_rng(6)
    gate, now = _rows(rng, 500), _rows(rng, 1_400, signal=1.0)
    days = {"cutoffs_us": np.arange(1_400) // 200 * DAY}
    rows = {"reference_label": gate[0], "reference_prediction": gate[1]}
    exact = {name: found.value for name, found in performance(*gate).metrics.items()}
    by_days = performance(*now, **rows, **days, reference_cutoffs_us=np.arange(500) // 100 * DAY).metrics  # type: ignore[arg-type]
    by_metrics = performance(*now, **days, reference_metrics=exact).metrics  # type: ignore[arg-type]
    for name in ("auc", "log_loss"):
        assert by_days[name].drop == pytest.approx(by_metrics[name].drop)
        assert by_days[name].p_value > 1.5 * by_metrics[name].p_value


def test_lost_calibration_is_told_and_does_not_decide() -> None:
    rng = np.random.default_rng(7)
    gate, (y, p) = _rows(rng, 2_000), _rows(rng, 2_000)
    found = performance(y, p**2, reference_label=gate[0], reference_prediction=gate[1])
    calibration = found.metrics["calibration_error"]
    assert calibration.reference == pytest.approx(performance(*gate).metrics["calibration_error"].value)
    assert calibration.drop == calibration.value - calibration.reference > 0.05  # type: ignore[operator]
    assert not calibration.dropped


def test_regression_is_judged_by_rmse_relative_to_the_reference() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(1000, 100, size=2000)
    p = y + rng.normal(0, 10, size=2000)
    worse = performance(y, p + rng.normal(0, 10, size=2000), reference_metrics={"rmse": 10.0}, metric="rmse")
    assert worse.dropped
    assert not performance(y, p, reference_metrics={"rmse": 9.8}, metric="rmse").dropped


@pytest.mark.parametrize("metric", ["average_precision", "brier", "mae"])
def test_the_problems_own_metric_is_judged(metric: str) -> None:
    rng = np.random.default_rng(6)
    reference, current = _rows(rng, 4000), _rows(rng, 4000, signal=0.2)
    if metric == "mae":
        reference, current = ((p + rng.normal(0, spread, 4000), p) for (_, p), spread in ((reference, 1), (current, 2)))
    measured = {"reference_label": reference[0], "reference_prediction": reference[1], "metric": metric}
    worse, same = performance(*current, **measured), performance(*reference, **measured)  # type: ignore[arg-type]
    assert worse.metrics[metric].dropped
    assert metric in worse.note
    assert not same.dropped
    assert next(iter(worse.metrics)) == metric


@pytest.mark.parametrize(
    ("label", "note"),
    [
        (np.full(100, np.nan), "no labels yet"),
        (np.r_[np.zeros(20), np.full(80, np.nan)], "20 labels, too few"),
        (np.zeros(100), "one class"),
        (np.arange(100.0), "not 0 or 1"),
        (np.empty(0), "no labels yet"),
    ],
)
def test_what_cannot_be_measured_says_so(label: np.ndarray, note: str) -> None:
    found = performance(label, np.full(len(label), 0.5), reference_metrics={"auc": 0.9})
    assert note in found.note
    assert not found.dropped
