"""Ensemble selection against its obvious twin; the cheapest ensemble; calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.automl.ensemble.calibration import Calibration, fit_calibration, scaled
from headrace.automl.ensemble.outliers import error_limit, winsorised_loss
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


def rmse(y: Floats, p: Floats) -> float:
    return METRICS["rmse"].loss(y, p, None, NUMBER)


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
    best = select(predictions, lambda p: rmse(y, p))

    def excess(p: Floats) -> float:
        return rmse(y, p) - best.loss

    found = cheapest(predictions, costs, excess, best=best, tolerance=tolerance)
    assert found.weights.sum() == pytest.approx(1.0)
    assert excess(np.tensordot(found.weights, predictions, 1)) <= tolerance + 1e-12
    spent = costs.total(found.weights > 0)
    assert spent <= costs.total(best.weights > 0) + 1e-9
    single = [costs.total(np.arange(m) == i) for i in range(m) if excess(predictions[i]) <= tolerance]
    assert spent <= min(single, default=np.inf) + 1e-9


def test_two_cheap_models_whose_errors_cancel_replace_an_expensive_one() -> None:
    rng = np.random.default_rng(0)
    y, error = rng.normal(size=(2, 300))
    predictions = np.stack([y + 0.1 * rng.normal(size=300), y + error, y - error + 0.3 * rng.normal(size=300)])
    costs = Costs(models=np.array([100.0, 1, 1]), preparations=np.array([5.0]), preparation_of=np.zeros(3, int))
    best = select(predictions[:, :, None], lambda p: rmse(y, p))

    def excess(p: Floats) -> float:
        return rmse(y, p) - best.loss

    def within(tolerance: float) -> Floats:
        return cheapest(predictions[:, :, None], costs, excess, best=best, tolerance=tolerance).weights

    assert within(0.0)[0] > 0.5
    assert within(0.2) == pytest.approx([0.0, 0.5, 0.5], abs=0.1)
    assert (within(9.0) > 0).sum() == 1


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


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(5, 1_500), st.integers(0, 12), st.floats(1, 1e6))
def test_no_cut_error_is_more_than_a_fiftieth_of_their_sum(seed: int, n: int, outliers: int, size: float) -> None:
    errors = np.random.default_rng(seed).exponential(size=n)
    errors[:outliers] *= size
    limit = error_limit(errors)
    cut = np.minimum(errors, limit)
    rest = errors[errors <= limit]
    assert limit == pytest.approx(max(0.02 * cut.sum(), 16 * rest.mean())) or (errors <= limit).all()
    if n >= 1_000 and outliers < 5:
        assert cut.max() <= 0.02 * cut.sum() * (1 + 1e-9)
    if (errors <= limit).all():
        assert errors.max() <= max(0.02 * errors.sum(), 16 * errors.mean()) + 1e-9


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["rmse", "r2", "rmsle"]), st.booleans())
def test_a_winsorised_loss_cuts_weighted_errors(seed: int, metric: str, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    y = rng.exponential(size=900)
    y[:2] += 1e3
    models = np.exp(rng.normal(size=(3, 900, 1)))
    w = rng.uniform(0.5, 2, 900) if weighted else None
    loss = winsorised_loss(y, w, models, Task(kind="regression", metric=metric))

    def errors(p: Floats) -> list[float]:
        difference = np.log1p(p[:, 0]) - np.log1p(y) if metric == "rmsle" else p[:, 0] - y
        return [(1.0 if w is None else w[row]) * float(difference[row]) ** 2 for row in range(900)]

    limit = error_limit(np.median([errors(model) for model in models], axis=0))
    other = np.exp(rng.normal(size=(900, 1)))
    total = sum(min(error, limit) for error in errors(other))
    assert loss is not None
    assert loss(other) == pytest.approx(np.sqrt(total / (900 if w is None else w.sum())))


def test_a_row_without_weight_does_not_raise_the_limit() -> None:
    y, w = np.random.default_rng(0).normal(size=(2, 900))
    y[:2] = 1e6, 1e3
    w = np.where(np.arange(900) == 0, 0.0, 1.0)
    loss = winsorised_loss(y, w, np.zeros((1, 900, 1)), NUMBER)
    assert loss is not None
    assert loss(np.zeros((900, 1))) < 2.0


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
    assert winsorised_loss(y, None, np.zeros((1, n, 1)), Task(kind=kind, metric=metric)) is None
