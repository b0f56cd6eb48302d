"""Ensemble selection against its obvious twin; the cheapest ensemble; calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.automl.ensemble.calibration import Calibration, fit_calibration, scaled
from headrace.automl.ensemble.outliers import winsorised_loss
from headrace.automl.ensemble.selection import Costs, cheapest, select
from headrace.automl.task.metrics import METRICS
from headrace.automl.task.task import Floats, Task

BINARY = Task(kind="binary", metric="log_loss", classes=("no", "yes"))
NUMBER = Task(kind="regression", metric="rmse")


def library(seed: int, m: int, n: int = 30) -> tuple[Floats, Floats]:
    """Labels [n] and predictions [m, n, 1] with errors of their own."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    return y, y[None, :, None] + rng.normal(size=(m, n, 1)) * rng.uniform(0.2, 2.0, (m, 1, 1))


def obvious(y: Floats, predictions: Floats, steps: int) -> tuple[list[int], float]:
    """Counts of the best bag of models: try every addition, keep the list, average it afresh each time."""
    bag: list[int] = []
    best: tuple[float, list[int]] = (float("inf"), [])
    for _ in range(steps):
        options = []
        for model in range(len(predictions)):
            mean = sum(predictions[one][:, 0] for one in [*bag, model]) / (len(bag) + 1)
            options.append(float(np.sqrt(np.mean((y - mean) ** 2))))
        bag = [*bag, int(np.argmin(np.round(options, 12)))]
        if min(options) < best[0] - 1e-12:
            best = (min(options), list(bag))
    return [best[1].count(model) for model in range(len(predictions))], best[0]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 12))
def test_selection_equals_its_twin(seed: int, m: int, steps: int) -> None:
    y, predictions = library(seed, m)
    found = select(predictions, lambda p: METRICS["rmse"].loss(y, p, None, NUMBER), steps=steps)
    counts, loss = obvious(y, predictions, steps)
    assert found.weights == pytest.approx(np.array(counts) / sum(counts))
    assert found.loss == pytest.approx(loss)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_an_ensemble_is_never_worse_than_its_best_model(seed: int, m: int) -> None:
    y, predictions = library(seed, m)
    found = select(predictions, lambda p: METRICS["rmse"].loss(y, p, None, NUMBER))
    assert found.weights.sum() == pytest.approx(1.0)
    assert found.loss <= min(METRICS["rmse"].loss(y, model, None, NUMBER) for model in predictions) + 1e-12


def shared_costs(seed: int, m: int) -> Costs:
    """Costs of models that share two preparations."""
    rng = np.random.default_rng(seed)
    return Costs(
        models=rng.uniform(1, 100, m), preparations=rng.uniform(1, 100, 2), preparation_of=rng.integers(0, 2, m)
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_a_preparation_is_paid_once_by_all_models_that_need_it(seed: int, m: int) -> None:
    costs, rng = shared_costs(seed, m), np.random.default_rng(seed)
    chosen = rng.random(m) < 0.5

    def total(mask: Any) -> float:
        needed = {int(costs.preparation_of[i]) for i in range(m) if mask[i]}
        return sum(costs.models[i] for i in range(m) if mask[i]) + sum(costs.preparations[one] for one in needed)

    assert costs.total(chosen) == pytest.approx(total(chosen))
    with_each = [total(chosen | (np.arange(m) == i)) for i in range(m)]
    assert costs.with_each(chosen) == pytest.approx(with_each)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0, 0.3))
def test_the_cheapest_ensemble_is_within_the_tolerance_and_no_model_within_it_is_cheaper(
    seed: int, m: int, tolerance: float
) -> None:
    y, predictions = library(seed, m, n=60)
    costs = shared_costs(seed, m)

    def loss(p: Floats) -> float:
        return METRICS["rmse"].loss(y, p, None, NUMBER)

    best, found = select(predictions, loss), cheapest(predictions, costs, loss, tolerance=tolerance)
    assert found.weights.sum() == pytest.approx(1.0)
    assert loss(np.tensordot(found.weights, predictions, 1)) == pytest.approx(found.loss)
    assert found.loss <= best.loss + tolerance + 1e-12
    spent = costs.total(found.weights > 0)
    assert spent <= costs.total(best.weights > 0) + 1e-9
    alone = [costs.total(np.arange(m) == i) for i in range(m) if loss(predictions[i]) <= best.loss + tolerance]
    assert spent <= min(alone, default=np.inf) + 1e-9


def test_nearly_any_loss_is_tolerated_so_the_cheapest_model_alone_is_enough() -> None:
    y, predictions = library(3, 5, n=200)
    costs = Costs(
        models=np.array([100.0, 1.0, 50.0, 2.0, 70.0]), preparations=np.array([5.0]), preparation_of=np.zeros(5, int)
    )

    def loss(p: Floats) -> float:
        return METRICS["rmse"].loss(y, p, None, NUMBER)

    exact, loose = (cheapest(predictions, costs, loss, tolerance=tolerance) for tolerance in (0.0, 9.0))
    assert exact.weights == pytest.approx(select(predictions, loss).weights)
    assert loose.weights.tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]


def test_a_temperature_corrects_overconfidence() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(size=4000)
    y = (rng.random(4000) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    overconfident = 1 / (1 + np.exp(-2.5 * odds))[:, None]
    found = fit_calibration(y, overconfident, None, BINARY, METRICS["log_loss"], temper=True)
    assert found.temperature == pytest.approx(2.5, rel=0.1)
    assert (np.argsort(scaled(overconfident, 2.5, BINARY)[:, 0]) == np.argsort(odds)).all()
    kept = fit_calibration(y, 1 / (1 + np.exp(-odds))[:, None], None, BINARY, METRICS["log_loss"], temper=True)
    assert kept.temperature == pytest.approx(1.0, abs=0.06)


def test_a_threshold_optimises_f1() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(3000) < 0.05).astype(np.float64)
    p = np.clip(0.05 + 0.2 * y + rng.normal(0, 0.05, 3000), 0, 1)[:, None]
    task = Task(kind="binary", metric="f1", classes=(0, 1))
    found = fit_calibration(y, p, None, task, METRICS["f1"], temper=False)
    assert 0.1 < found.threshold < 0.25
    assert METRICS["f1"].value(y, (p >= found.threshold).astype(float), None, task) > 0.8


def test_quantiles_do_not_cross() -> None:
    task = Task(kind="quantile", metric="pinball", quantiles=(0.1, 0.9))
    assert (Calibration().apply(np.array([[2.0, 1.0]]), task) == [[1.0, 2.0]]).all()


def test_a_limit_admits_the_first_model_and_what_fits_beside_it() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    models = np.stack([y + rng.normal(size=400) for _ in range(4)])[:, :, None]

    def loss(p: np.ndarray) -> float:
        return float(np.mean((p[:, 0] - y) ** 2))

    costs = [5.0, 1.0, 1.0, 9.0]
    free = select(models, loss, steps=20)
    assert (free.weights > 0).sum() == 4
    limited = select(models, loss, steps=20, costs=costs, limit=6.0, first=0)
    assert limited.weights[0] > 0
    assert sum(cost for cost, weight in zip(costs, limited.weights, strict=True) if weight > 0) <= 6.0
    assert (limited.weights > 0).sum() == 2
    alone = select(models, loss, steps=20, costs=costs, limit=1.0, first=3)
    assert alone.weights.tolist() == [0.0, 0.0, 0.0, 1.0]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(["rmse", "rmsle"]), st.booleans())
def test_a_row_counts_for_at_most_a_fiftieth_of_the_squared_errors(seed: int, metric: str, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    y = rng.exponential(size=900)
    y[:2] += 1e3
    p, w = np.exp(rng.normal(size=(900, 1))), rng.uniform(0.5, 2, 900) if weighted else None
    task = Task(kind="regression", metric=metric)
    loss = winsorised_loss(y, w, p, task)
    errors = (p[:, 0] - y) ** 2 if metric == "rmse" else (np.log1p(p[:, 0]) - np.log1p(y)) ** 2
    limit = 0.02 * errors.sum()
    assert loss is not None
    other = np.exp(rng.normal(size=(900, 1)))
    of_other = (other[:, 0] - y) ** 2 if metric == "rmse" else (np.log1p(other[:, 0]) - np.log1p(y)) ** 2
    total = sum((1.0 if w is None else w[i]) * min(of_other[i], limit) for i in range(900))
    assert loss(other) == pytest.approx(np.sqrt(total / (900 if w is None else w.sum())))


@pytest.mark.parametrize(
    ("n", "size", "metric", "kind"),
    [(900, 1.0, "rmse", "regression"), (60, 3.0, "rmse", "regression"), (900, 1e3, "mae", "regression"),
     (900, 1e3, "log_loss", "binary")],
)  # fmt: skip
def test_without_outliers_and_for_other_metrics_errors_stay_as_they_are(
    n: int, size: float, metric: str, kind: Any
) -> None:
    y = np.random.default_rng(0).normal(size=n)
    y[0] = size
    assert winsorised_loss(y, None, np.zeros((n, 1)), Task(kind=kind, metric=metric)) is None
