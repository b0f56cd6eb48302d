"""Rows with very large errors, and near copies of one configuration: they do not decide an ensemble of AutoML."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.automl import choosing, leaderboard
from headrace.automl.choosing import Candidate, library
from headrace.automl.ensemble.selection import select
from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.families.protocol import Fit, Rows
from headrace.automl.families.sklearn_models import huber_weights
from headrace.automl.options import Options
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.metrics import METRICS
from headrace.automl.task.task import Task
from headrace.automl.trials.data import SearchData
from headrace.automl.validation.folds import TableFold
from headrace.models.design import Design
from headrace.search.trial import Trial

TASK = Task(kind="regression", metric="rmse")


def rows_of(X: Any, label: Any, weight: Any = None) -> Rows:
    names = tuple(f"x{position}" for position in range(X.shape[1]))
    return Rows(design=Design(X=X.astype(np.float32), names=names, categorical=()), label=label, weight=weight)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.booleans())
def test_weighted_least_squares_has_the_gradient_of_hubers_loss(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    label, predicted = rng.standard_t(2, size=(2, 80))
    given_weight = rng.uniform(0.5, 2, 80) if weighted else None
    weights = huber_weights(rows_of(np.zeros((80, 1)), label, given_weight), predicted)
    limit = 1.345 * 1.4826 * np.median(np.abs(label - predicted))

    def huber(residual: float) -> float:
        size = abs(residual)
        return size**2 / 2 if size <= limit else limit * (size - limit / 2)

    for one in range(80):
        residual, step = label[one] - predicted[one], 1e-6
        gradient = (huber(residual + step) - huber(residual - step)) / (2 * step)
        prior = 1.0 if given_weight is None else given_weight[one]
        assert weights[one] * residual == pytest.approx(prior * gradient, abs=1e-5)


def test_exact_predictions_leave_all_weights() -> None:
    label = np.array([0.0, 0.0, 0.0, 5.0])
    assert huber_weights(rows_of(np.zeros((4, 1)), label), np.zeros(4)).tolist() == [1.0] * 4


def test_an_elastic_net_with_hubers_loss_is_not_misled_by_a_few_rows() -> None:
    rng = np.random.default_rng(0)
    X, test = rng.normal(size=(2, 300, 3))
    label = X @ [1.0, -2.0, 0.0] + 0.1 * rng.normal(size=300)
    X[:6, 0], label[:6] = 4.0, -30.0
    errors = {}
    for loss in ("squared", "huber"):
        config = {**TABLE_FAMILIES["elastic_net"].default(), "penalty": 1e-3, "loss": loss}
        model = TABLE_FAMILIES["elastic_net"].fit(rows_of(X, label), None, config, Fit(task=TASK))
        predicted = model.predict(rows_of(test, np.zeros(300)).design)[:, 0]
        errors[loss] = float(np.sqrt(np.mean((predicted - test @ [1.0, -2.0, 0.0]) ** 2)))
    assert errors["huber"] < errors["squared"] / 3


def trial(number: int, family: str, loss: float) -> Trial:
    return Trial(number=number, config={"family": family}, status="ok", loss=loss, seconds=1.0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 120), st.integers(1, 8))
def test_an_ensemble_is_selected_from_the_best_trials_but_few_of_each_family(seed: int, n: int, families: int) -> None:
    rng = np.random.default_rng(seed)
    found = [("abcdefgh"[rng.integers(families)], int(rng.integers(6))) for _ in range(n)]
    trials = [trial(number, family, loss) for number, (family, loss) in enumerate(found)]
    chosen = library(trials)
    most = max(5, -(-40 // len({family for family, _ in found})))
    order = sorted(trials, key=lambda one: (one.loss, one.number))
    of_each = [one for family in "abcdefgh" for one in [x for x in order if x.config["family"] == family][:most]]
    assert chosen == sorted(of_each, key=lambda one: (one.loss, one.number))[:40]


def selection(label: Any, models: Any, options: Options, configs: Any, task: Task = TASK) -> Any:
    """Select among models [m, n] of these configurations, whose costs are 100 for the first and 1 for the others."""
    frame, rows = pd.DataFrame({"a": np.arange(float(len(label)))}), np.arange(len(label))
    data = SearchData(
        frame=frame, label=label, weight=None, cleaner=Cleaner.fit(frame), task=task,
        folds=(TableFold(train=rows, valid=rows),),
    )  # fmt: skip
    candidates = [
        Candidate(number=number, config=config, predictions=model[:, None], seconds=1.0, prepare_us=50.0,
                  predict_us=1.0 if number else 100.0)
        for number, (config, model) in enumerate(zip(configs, models, strict=True))
    ]  # fmt: skip
    return choosing._select(data, candidates, options, deadline=1e18)


@pytest.mark.parametrize("outlier", [60.0, 300.0, 1e4])
def test_half_of_the_weights_are_chosen_without_the_influence_of_single_rows(outlier: float) -> None:
    """One row, which the second model alone predicts, would give it most of the weight or all."""
    rng = np.random.default_rng(0)
    label = rng.normal(size=1_000)
    label[0] = outlier
    models = np.stack([label + error * rng.normal(size=1_000) for error in (0.5, 1.0)])
    models[0, 0] = 0.0
    found = selection(label, models, Options(), [{"family": "linear"}] * 2)
    squared = select(models[:, :, None], lambda p: float(np.mean((p[:, 0] - label) ** 2)))
    others = select(models[:, 1:, None], lambda p: float(np.mean((p[:, 0] - label[1:]) ** 2)))
    assert squared.weights[1] > 0.7
    assert others.weights[1] < 0.4
    assert found.weights == pytest.approx((squared.weights + others.weights) / 2, abs=0.1)
    assert found.loss == pytest.approx(np.sqrt(np.mean((found.weights @ models - label) ** 2)))


@pytest.mark.parametrize("metric", ["auc", "average_precision"])
def test_beside_a_ranking_metric_half_of_the_weights_are_chosen_by_the_log_loss(metric: str) -> None:
    rng = np.random.default_rng(0)
    task = Task(kind="binary", metric=metric, classes=(0, 1))
    score = rng.normal(size=400)
    label = (rng.random(400) < 1 / (1 + np.exp(3 - 2 * score))) * 1.0
    models = 1 / (1 + np.exp(3 - 2 * (score + rng.normal(size=(6, 400)) * np.linspace(0.4, 1.0, 6)[:, None])))
    found = selection(label, models, Options(), [{"family": "linear"}] * 6, task)
    own, logarithmic = (
        select(models[:, :, None], lambda p, name=name: METRICS[name].loss(label, p, None, task))
        for name in (metric, "log_loss")
    )
    assert not np.allclose(own.weights, logarithmic.weights)
    assert found.weights == pytest.approx((own.weights + logarithmic.weights) / 2)
    assert found.loss == pytest.approx(METRICS[metric].loss(label, (found.weights @ models)[:, None], None, task))


@pytest.mark.parametrize("too_sure", [False, True])
def test_the_log_loss_limits_a_cheap_ensemble_unless_a_constant_is_better_by_it(too_sure: bool) -> None:
    """Both models order the rows alike; the cheap one is hardly sure of anything, or both are far too sure."""
    rng = np.random.default_rng(0)
    task = Task(kind="binary", metric="auc", classes=(0, 1))
    score = rng.normal(size=800)
    label = (rng.random(800) < 1 / (1 + np.exp(-2 * score))) * 1.0
    slopes = (29.0, 30.0) if too_sure else (2.0, 0.1)
    models = 1 / (1 + np.exp(-np.outer(slopes, score)))
    found = selection(label, models, Options(cost_tolerance=0.05), [{"family": "linear"}] * 2, task)
    assert (found.weights[0] == 0) == too_sure


@pytest.mark.parametrize("outlier", [1.0, 60.0])
@pytest.mark.parametrize("tolerance", [0.0, 0.01, 0.1, 0.3, 0.4])
def test_the_cheapest_ensemble_is_as_much_worse_as_was_allowed(outlier: float, tolerance: float) -> None:
    rng = np.random.default_rng(1)
    label = rng.normal(size=1_000)
    label[0] = outlier
    models = np.stack([label + error * rng.normal(size=1_000) for error in (0.3, 0.5, 0.6)])
    models[:2, 0] = 0.0
    configs = [{"family": "linear", "linear.scale": scale} for scale in ("standard", "power", "power")]
    best = selection(label, models, Options(), configs)
    cheap = selection(label, models, Options(cost_tolerance=tolerance), configs)
    gap = float(np.std(label)) - best.loss
    loss = float(np.sqrt(np.mean((cheap.weights @ models - label) ** 2)))
    assert loss <= best.loss + tolerance * gap + 1e-9
    if tolerance != 0.1:  # there, it depends on the outlier
        assert (cheap.weights[0] > 0) == (tolerance < 0.1)


def test_members_with_equal_preparations_pay_for_it_once() -> None:
    specs = [{"family": "linear", "linear.scale": "power", "linear.strength": 1.0},
             {"family": "svm", "svm.scale": "power", "svm.gamma": 1.0},
             {"family": "linear", "linear.scale": "quantile"}]  # fmt: skip
    candidates = [
        Candidate(number=0, config=config, predictions=np.zeros((1, 1)), seconds=1.0, prepare_us=50.0, predict_us=1.0)
        for config in specs
    ]
    costs = choosing._costs(candidates)
    chosen = [costs.total(np.array(mask)) for mask in ([True, True, False], [True, False, True], [True, True, True])]
    assert chosen == [52.0, 102.0, 103.0]
    trials = [
        replace(trial(0, "x", 0.0), config=config, info={"prepare_us": 50.0, "predict_us": 1.0}) for config in specs
    ]
    assert leaderboard._cost(trials) == 103.0
