"""The second level of an ensemble: its columns, its folds, its place in the model, and when it is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.automl import HeadraceClassifier, HeadraceRegressor, choosing
from headrace.automl.bundle import load_model, save_model
from headrace.automl.ensemble import stacking
from headrace.automl.ensemble.columns import with_predictions
from headrace.automl.leaderboard import leaderboard
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Task
from headrace.automl.trials.data import SearchData, write_data
from headrace.automl.validation.folds import make_folds
from headrace.models.design import Design
from headrace.search.trial import Trial

TWO: dict[str, Any] = {"seconds": None, "trials": 2, "n_jobs": 1, "folds": 4, "families": ("lightgbm", "linear")}
STARTS = [
    {"family": "lightgbm", "lightgbm.learning_rate": 0.3},
    {"family": "linear", "linear.strength": 1.0, "linear.scale": "standard"},
]


def table(n: int = 1_200, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    """A line on one side of zero and a staircase on the other: neither family alone describes both."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    y = np.where(X.c > 0, 3 * X.a + X.b, np.floor(2 * X.b) * np.sign(X.a)) + rng.normal(scale=0.1, size=n)
    return X, y


@given(st.integers(1, 4), st.integers(1, 3), st.sampled_from(["regression", "multiclass"]))
def test_predictions_become_columns_that_linear_models_can_use(models: int, outputs: int, kind: Any) -> None:
    rng = np.random.default_rng(models)
    design = Design(X=np.zeros((5, 2), dtype=np.float32), names=("a", "b"), categorical=(1,))
    predictions = [rng.random((5, outputs)) for _ in range(models)]
    task = Task(kind=kind, metric="rmse" if kind == "regression" else "log_loss")
    wide = with_predictions(design, predictions, task)
    expected = [p if kind == "regression" else np.log(p / (1 - p)) for p in predictions]
    assert wide.categorical == (1,)
    assert len(wide.names) == 2 + models * outputs
    np.testing.assert_allclose(wide.X[:, 2:], np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-5)


def test_a_certain_probability_stays_finite() -> None:
    design = Design(X=np.zeros((2, 1), dtype=np.float32), names=("a",), categorical=())
    wide = with_predictions(design, [np.array([[0.0], [1.0]])], Task(kind="binary", metric="auc"))
    assert np.isfinite(wide.X).all()


def test_a_fold_does_not_learn_from_the_rows_that_it_validates(tmp_path: Path) -> None:
    X, y = table()
    before, after = (stacked_linear(tmp_path / name, X, label) for name, label in (("a", y), ("b", changed(y))))
    first = slice(0, len(fold_rows(X, y)[0]))
    np.testing.assert_array_equal(before[first], after[first])
    assert not np.allclose(before[len(y) // 2 :], after[len(y) // 2 :])


def fold_rows(X: pd.DataFrame, y: Any) -> list[Any]:
    return [fold.valid for fold in make_folds("random", y, Task(kind="regression", metric="rmse"), count=4, seed=0)]


def changed(y: Any) -> Any:
    """Other labels of the rows that the first fold validates."""
    other = y.copy()
    other[fold_rows(pd.DataFrame(), y)[0]] += 100
    return other


def stacked_linear(folder: Path, X: pd.DataFrame, y: Any) -> Any:
    """Out-of-fold predictions of a linear second level over two fixed first-level models."""
    task, cleaner = Task(kind="regression", metric="rmse"), Cleaner.fit(X)
    folds = make_folds("random", y, task, count=4, seed=0)
    data = SearchData(frame=cleaner.transform(X), label=y, weight=None, folds=folds, cleaner=cleaner, task=task)
    rows = data.valid_rows
    stored = {0: X.a.to_numpy()[rows][:, None], 1: X.b.to_numpy()[rows][:, None]}
    trials = [Trial(number=n, config=STARTS[n], status="ok", loss=1.0, seconds=1.0) for n in (0, 1)]
    found = stacking.stack(folder, write_data(folder, data), data, trials, stored, seed=0, threads=1, deadline=np.inf)
    return next(each for each in found if each.config["family"] == "linear").predictions


def test_the_second_level_is_chosen_where_it_is_better_and_predicts_as_its_parts_do(tmp_path: Path) -> None:
    X, y = table()
    model = HeadraceRegressor(**TWO, portfolio=STARTS).fit(X, y)
    alone = HeadraceRegressor(**TWO, portfolio=STARTS, stack=False).fit(X, y)
    stacked = [member for member in model.model_.members if member.inputs]
    assert stacked
    assert model.outcome_.assembly.loss < alone.outcome_.assembly.loss
    assert any("second level" in family for family in leaderboard(model.outcome_).family)
    fresh, truth = table(400, seed=1)
    assert rmse(model.predict(fresh), truth) < rmse(alone.predict(fresh), truth)
    expected = by_hand(model.model_, fresh)
    np.testing.assert_allclose(model.predict(fresh), expected, rtol=1e-9)
    save_model(model.model_, tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict(fresh)[:, 0], model.predict(fresh))


def rmse(predicted: Any, truth: Any) -> float:
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


def by_hand(model: Any, frame: pd.DataFrame) -> Any:
    """The obvious twin: every first-level model of every fold, then the second level on their means."""
    cleaned = model.cleaner.transform(frame)
    means: dict[int, Any] = {}
    total = np.zeros(len(frame))
    for member in model.members:
        folds = []
        for key, fitted in member.parts:
            X = model.preparations[key].transform(cleaned)
            for number in member.inputs:
                column = means[number][:, None].astype(np.float32)
                X = Design(X=np.hstack([X.X, column]), names=(*X.names, str(number)), categorical=X.categorical)
            folds.append(fitted.predict(X)[:, 0])
        means[member.trial] = np.mean(folds, axis=0)
        total += member.weight * means[member.trial]
    return total


def test_one_member_alone_keeps_the_members_that_it_needs() -> None:
    X, y = table()
    model = HeadraceRegressor(**TWO, portfolio=STARTS).fit(X, y).model_
    member = next(member for member in model.members if member.inputs)
    assert {each.trial for each in model.only(member).members} == {*member.inputs, member.trial}
    assert np.isfinite(model.only(member).predict(X)).all()


def test_the_second_level_is_left_out_where_it_is_not_better_in_most_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "better_in_most_folds", lambda *_: False)
    X, y = table()
    model = HeadraceRegressor(**TWO, portfolio=STARTS).fit(X, y)
    assert not any(member.inputs for member in model.model_.members)
    assert any("second level" in note for note in model.notes_)


@pytest.mark.parametrize(
    "change", [{"validation": "time", "time": "a"}, {"cost_tolerance": 0.01}, {"stack": False}, {"ensemble": False}]
)
def test_no_second_level_in_time_order_in_cost_aware_mode_or_where_not_asked_for(change: dict[str, Any]) -> None:
    X, y = table()
    model = HeadraceRegressor(**{**TWO, **change}, portfolio=STARTS).fit(X, y)
    assert not any(member.inputs for member in model.model_.members)


def test_few_rows_have_no_second_level() -> None:
    X, y = table(300)
    model = HeadraceRegressor(**TWO, portfolio=STARTS).fit(X, y)
    assert not any(member.inputs for member in model.model_.members)


def test_classes_are_stacked_by_log_odds() -> None:
    X, y = table()
    label = np.digitize(y, [-1.0, 1.0])
    model = HeadraceClassifier(**TWO, portfolio=STARTS).fit(X, label)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-6)
