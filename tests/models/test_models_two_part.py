"""Two-part models: the quantile of a mixture of 0 and positive numbers, and the choice between one part and two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.evaluate.metrics import METRICS
from headrace.models.compiled import CompiledLightGBM, compiled
from headrace.models.design import Design
from headrace.models.ensemble import ENSEMBLE, FittedEnsemble, FittedMember, load_fitted
from headrace.models.families import warm_start
from headrace.models.log_scale import natural
from headrace.models.recipe import Recipe, fit_recipe, fit_rounds, fit_rounds_of_best_form
from headrace.models.two_part import LEVELS, FittedTwoPart, mixture_quantile

RNG = np.random.default_rng(0)
N = 1_200
X = RNG.normal(size=(N, 3)).astype(np.float32)
DESIGN = Design(X=X, names=("a", "b", "c"), categorical=())
#: Whether there is an amount depends on one column, and its size on another.
OCCURS = RNG.random(N) < 1 / (1 + np.exp(-2 * X[:, 1] - 0.3))
Y = np.where(OCCURS, np.exp(2 + 1.2 * X[:, 0] + RNG.normal(0, 0.7, N)), 0.0)
TRAIN, VALID, LATER = np.arange(500), np.arange(500, 800), np.arange(800, N)
FOLDS = [(TRAIN, VALID)]
TREES = warm_start(("lightgbm",))[0]


@settings(max_examples=60, deadline=None)
@given(
    probability=st.floats(0.0, 1.0),
    amount=st.floats(0.0, 6.0),
    spread=st.floats(0.0, 2.0),
    level=st.sampled_from([0.1, 0.5, 0.9]),
)
def test_the_quantile_is_that_of_numbers_drawn_from_the_mixture(
    probability: float, amount: float, spread: float, level: float
) -> None:
    """Compared with a sample: zeros and positive numbers in their shares, sorted, the one at the level taken."""
    residuals = tuple(spread * (LEVELS - 0.5))
    value = mixture_quantile(np.array([probability]), np.array([amount]), residuals, level)[0]
    drawn = 40_000
    positive = round(drawn * probability)
    uniform = (np.arange(positive) + 0.5) / max(positive, 1)
    numbers = np.concatenate([np.zeros(drawn - positive), np.sort(natural(amount + spread * (uniform - 0.5)))])
    place = int(level * drawn)
    low, high = np.sort(numbers)[[max(place - 40, 0), min(place + 40, drawn - 1)]]
    assert low - 1e-9 <= value <= high + 1e-9


@pytest.mark.parametrize("metric", ["mae", "quantile_0.8"])
def test_two_parts_are_better_where_zeros_have_a_cause_of_their_own(metric: str) -> None:
    best = fit_rounds_of_best_form(TREES, DESIGN, Y, FOLDS, metric=metric)
    plain = fit_rounds(TREES, DESIGN, Y, FOLDS, metric=metric)
    assert best.recipe.parts
    assert best.loss == METRICS[metric].value(Y[VALID], best.predicted[0])
    assert best.loss < METRICS[metric].value(Y[VALID], plain.predicted[0])
    before = np.concatenate([TRAIN, VALID])
    later = [
        fit_recipe(one.recipe, DESIGN, Y, metric=metric, rows=before).predict(DESIGN.rows(LATER))
        for one in (best, plain)
    ]
    losses = [METRICS[metric].value(Y[LATER], predicted) for predicted in later]
    assert losses[0] < losses[1]
    if metric == "quantile_0.8":
        assert (Y[LATER] <= later[0]).mean() == pytest.approx(0.8, abs=0.06)


def test_one_part_stays_where_two_are_worse_on_the_folds() -> None:
    """What tells whether there is an amount in the training rows tells nothing in the validation rows."""
    occurs = np.random.default_rng(0).random(N) < 0.6
    occurs[TRAIN] = X[TRAIN, 1] > -0.5
    y = np.where(occurs, np.exp(2 + 1.2 * X[:, 0] + np.random.default_rng(1).normal(0, 0.7, N)), 0.0)
    best = fit_rounds_of_best_form(TREES, DESIGN, y, FOLDS, metric="mae")
    plain = fit_rounds(TREES, DESIGN, y, FOLDS, metric="mae")
    assert not best.recipe.parts
    np.testing.assert_array_equal(best.predicted[0], plain.predicted[0])


@pytest.mark.parametrize(("metric", "label"), [
    ("rmse", Y), ("mae", Y - 1), ("mae", np.abs(X[:, 0]) + 1), ("mae", np.where(np.arange(N) % 30, 0.0, 1.0)),
])  # fmt: skip
def test_other_labels_are_predicted_by_one_part(metric: str, label: np.ndarray) -> None:
    """Another metric, negative numbers, few zeros, few positive rows."""
    label = np.asarray(label, dtype=np.float64)
    best = fit_rounds_of_best_form(TREES, DESIGN, label, FOLDS, metric=metric)
    plain = fit_rounds(TREES, DESIGN, label, FOLDS, metric=metric)
    assert best.recipe == plain.recipe
    np.testing.assert_array_equal(best.predicted[0], plain.predicted[0])


def test_a_two_part_model_is_the_same_from_its_file(tmp_path: Path) -> None:
    recipe = fit_rounds_of_best_form(TREES, DESIGN, Y, FOLDS, metric="mae").recipe
    assert Recipe.from_json(recipe.to_json()) == recipe
    former = {name: value for name, value in recipe.to_json().items() if name not in ("parts", "residuals")}
    assert Recipe.from_json(former) == replace(recipe, parts=(), residuals=())
    fitted = fit_recipe(recipe, DESIGN, Y, metric="mae")
    assert isinstance(fitted, FittedTwoPart)
    expected = fitted.predict(DESIGN)
    (tmp_path / "one").mkdir()
    fitted.save(tmp_path / "one")
    again = load_fitted("lightgbm", tmp_path / "one")
    np.testing.assert_array_equal(again.predict(DESIGN), expected)
    served = compiled(again)
    assert isinstance(served, FittedTwoPart)
    assert isinstance(served.occurrence, CompiledLightGBM)
    assert isinstance(served.amount, CompiledLightGBM)
    np.testing.assert_array_equal(served.predict(DESIGN), expected)
    members = (FittedMember(family="lightgbm", weight=1.0, fitted=fitted),)
    (tmp_path / "many").mkdir()
    FittedEnsemble(members=members, binary=False).save(tmp_path / "many")
    np.testing.assert_array_equal(load_fitted(ENSEMBLE, tmp_path / "many").predict(DESIGN), expected)


def test_its_shapley_values_are_those_of_both_parts() -> None:
    recipe = fit_rounds_of_best_form(TREES, DESIGN, Y, FOLDS, metric="mae").recipe
    fitted = fit_recipe(recipe, DESIGN, Y, metric="mae")
    assert isinstance(fitted, FittedTwoPart)
    values = fitted.contributions(DESIGN)
    assert values.shape == (N, 3)
    p, a = fitted.occurrence.predict(DESIGN), fitted.amount.predict(DESIGN)
    assert np.ptp(np.log(p / (1 - p)) + a - values.sum(axis=1)) < 1e-6
    largest = np.abs(values).mean(axis=0)
    assert largest[2] < min(largest[:2])


def test_an_absurd_amount_is_finite() -> None:
    residuals = tuple(np.zeros(len(LEVELS)))
    predicted = mixture_quantile(np.array([1.0, 1.0, 0.2]), np.array([1e6, -1e6, 1e6]), residuals, 0.5)
    assert np.isfinite(predicted).all()
    assert predicted[1:].tolist() == [0.0, 0.0]
