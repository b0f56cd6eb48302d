"""Rows in order of time: few different times, folds that count more the later they are, and half-lives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.automl import HeadraceRegressor, choosing
from headrace.automl.choosing import Candidate
from headrace.automl.ensemble.selection import select
from headrace.automl.families.protocol import Rows
from headrace.automl.options import Options
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.constant import constant_prediction
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Task
from headrace.automl.trials.data import SearchData, training_rows, write_data
from headrace.automl.trials.fitting import _balanced
from headrace.automl.trials.objective import TableObjective
from headrace.automl.trials.space import joint_space, start_list, written_starts
from headrace.automl.validation.folds import make_folds
from headrace.core.errors import DataError
from headrace.models.callback import NoCallback
from headrace.models.design import Design
from headrace.search.space import config_errors

NUMBER = Task(kind="regression", metric="rmse")
LINEAR: dict[str, Any] = {
    "family": "linear",
    "linear.strength": 100.0,
    "linear.scale": "standard",
    "linear.constructions": False,
}


def data_of(x: Any, y: Any, times: Any, weight: Any = None) -> SearchData:
    X = pd.DataFrame({"x": x})
    cleaner = Cleaner.fit(X)
    folds = make_folds("time", y, NUMBER, count=3, seed=0, keys=times)
    return SearchData(
        frame=cleaner.transform(X), label=y, weight=weight, folds=folds, cleaner=cleaner, task=NUMBER, time_rank=times
    )


def design_of(data: SearchData, rows: Any) -> Design:
    return Design(X=data.frame.to_numpy(np.float32)[rows], names=("x",), categorical=())


@given(times=st.lists(st.integers(0, 9), min_size=2, max_size=60), count=st.integers(1, 5))
def test_folds_of_any_times_train_on_earlier_rows_and_reach_the_last(times: list[int], count: int) -> None:
    keys = np.array(times)
    least = max(1, -(-len(keys) // 20))
    if not any(min(np.sum(keys <= key), np.sum(keys > key)) >= least for key in keys):
        with pytest.raises(DataError, match="most rows have the same time"):
            make_folds("time", np.zeros(len(keys)), NUMBER, count=count, seed=0, keys=keys)
        return
    folds = make_folds("time", np.zeros(len(keys)), NUMBER, count=count, seed=0, keys=keys)
    assert 1 <= len(folds) <= min(count, 3, len(np.unique(keys)) - 1)
    for fold in folds:
        assert keys[fold.train].max() < keys[fold.valid].min()
        assert min(len(fold.train), len(fold.valid)) >= least
    assert keys[folds[-1].valid].max() == keys.max()
    assert [fold.weight for fold in folds] == [1, 2, 4][: len(folds)]


def test_weights_in_a_loss_are_those_of_rows_and_folds() -> None:
    y, times = np.arange(12.0), np.arange(12)
    plain, weighted = data_of(y, y, times), data_of(y, y, times, weight=y + 1)
    expected = [(fold.weight, row) for fold in plain.folds for row in fold.valid]
    assert plain.valid_weights is not None
    assert weighted.valid_weights is not None
    assert plain.valid_weights.tolist() == [of_fold for of_fold, _ in expected]
    assert weighted.valid_weights.tolist() == [of_fold * (y[row] + 1) for of_fold, row in expected]


@given(st.data())
def test_a_half_life_halves_weights_with_every_share_of_newer_rows(data: st.DataObject) -> None:
    times = np.array(
        data.draw(st.lists(st.integers(0, 5), min_size=4, max_size=20).filter(lambda all: len(set(all)) > 1))
    )
    sample = np.array(data.draw(st.lists(st.integers(1, 3), min_size=len(times), max_size=len(times)))) * 1.0
    table = data_of(times * 1.0, times * 1.0, times, weight=sample)
    rows = np.arange(len(times))
    found = training_rows(table, design_of(table, rows), rows, {"half_life": "1/4"}).weight
    # The obvious twin: count for each row the newer ones, and half of those of the same time.
    halved = []
    for row in rows:
        newer = sum(times > times[row]) + (sum(times == times[row]) - 1) / 2
        halved.append(0.5 ** (newer / len(times) / 0.25))
    np.testing.assert_allclose(found, sample * halved / np.mean(halved))


def test_rows_keep_their_weights_without_a_half_life() -> None:
    y = np.arange(12.0)
    data, rows = data_of(y, y, np.arange(12)), np.arange(6)
    assert training_rows(data, design_of(data, rows), rows, LINEAR).weight is None
    assert training_rows(data, design_of(data, rows), rows, {**LINEAR, "half_life": "none"}).weight is None


def test_half_lives_are_a_choice_for_ordered_rows_only() -> None:
    label, families = np.arange(20.0), ("linear", "lightgbm")
    ordered, unordered = (joint_space(families, NUMBER, label, ordered=flag) for flag in (True, False))
    assert "half_life" in ordered.parameters
    assert "half_life" not in unordered.parameters
    starts = start_list(families, NUMBER, label, ordered=True)
    assert not [config for config in starts if config_errors(ordered, config)]
    for family in families:
        turns = [config["half_life"] for config in starts if config["family"] == family]
        assert turns == ["none", "none", "1/2", "1/2"][: len(turns)]
    assert "half_life" not in joint_space(("neighbours",), NUMBER, label, ordered=True).parameters
    neighbours = start_list(
        ("neighbours", "linear"), NUMBER, label, [*written_starts(("neighbours",))] * 3, ordered=True
    )
    assert {config["half_life"] for config in neighbours} == {"none"}
    again = start_list(families, NUMBER, label, starts)
    assert again
    assert all("half_life" not in config for config in again)


def changed_halfway(n: int = 400) -> tuple[Any, Any, Any]:
    """A number that rises with x in the older half of the rows, and falls with it in the newer."""
    x = np.random.default_rng(0).normal(size=n)
    return x, np.where(np.arange(n) < n / 2, x, -x), np.arange(n)


def test_a_short_half_life_follows_a_relation_that_changed(tmp_path: Path) -> None:
    x, y, times = changed_halfway()
    data = data_of(x, y, times)
    objective = TableObjective(folder=tmp_path, digest=write_data(tmp_path, data))
    losses = {life: objective({**LINEAR, "half_life": life})["loss"] for life in ("none", "1/2", "1/4")}
    assert losses["1/4"] < losses["1/2"] < losses["none"]


def test_the_model_is_fitted_with_the_half_life_of_its_configuration() -> None:
    x, y, times = changed_halfway()
    slopes = []
    for life in ("none", "1/4"):
        model = HeadraceRegressor(
            seconds=None, trials=1, n_jobs=1, families=("linear",), validation="time", time="day",
            portfolio=[{**LINEAR, "half_life": life}],
        ).fit(pd.DataFrame({"x": x, "day": times}), y)  # fmt: skip
        assert model.outcome_.trials[0].config["half_life"] == life
        last = pd.DataFrame({"x": [0.0, 1.0], "day": [400, 400]})
        slopes.append(float(np.diff(model.predict(last))[0]))
    assert abs(slopes[0]) < 0.2
    assert slopes[1] < -0.5


def test_the_ensemble_is_selected_by_the_weights_of_folds() -> None:
    rng = np.random.default_rng(0)
    label, times = rng.normal(size=300), np.arange(300)
    data = data_of(label, label, times)
    wanted = label[data.valid_rows]
    early = np.repeat([1.0, 0.0, 0.0], [len(fold.valid) for fold in data.folds])
    models = [wanted + noise * rng.normal(size=len(wanted)) for noise in (1.5 - early, 0.8 + early)]
    candidates = [
        Candidate(number=number, config=LINEAR, predictions=model[:, None], seconds=1, predict_us=1, prepare_us=1)
        for number, model in enumerate(models)
    ]
    found = choosing._select(data, candidates, Options(), 1e18)
    stacked, weights = np.stack(models)[:, :, None], data.valid_weights
    expected = select(stacked, lambda p: metric_of(NUMBER).loss(wanted, p, weights, NUMBER))
    equal = select(stacked, lambda p: metric_of(NUMBER).loss(wanted, p, None, NUMBER))
    assert found.weights == pytest.approx(expected.weights)
    assert expected.weights[0] < equal.weights[0] - 0.1


def test_the_loss_of_a_trial_counts_later_folds_more(tmp_path: Path) -> None:
    x, y, times = changed_halfway()
    data = data_of(x, y, times)
    reported: list[float] = []

    class Records(NoCallback):
        def on_rung(self, name: str, loss: float) -> None:
            reported.append(loss)

    result = TableObjective(folder=tmp_path, digest=write_data(tmp_path, data)).evaluate_rungs(LINEAR, Records())
    predicted = np.load(tmp_path / f"{result['file']}.npy")[:, 0]
    squared = (predicted - y[data.valid_rows]) ** 2
    parts = np.split(squared, np.cumsum([len(fold.valid) for fold in data.folds])[:-1])
    weights = np.repeat([1.0, 2.0, 4.0], [len(part) for part in parts])
    assert result["loss"] == pytest.approx(np.sqrt(np.average(squared, weights=weights)))
    of_fold = [float(np.sqrt(part.mean())) for part in parts]
    assert reported[1] == pytest.approx((of_fold[0] + 2 * of_fold[1]) / 3)


def test_the_ensemble_is_judged_by_the_same_weights() -> None:
    x, y, times = changed_halfway()
    model = HeadraceRegressor(
        seconds=None, trials=3, n_jobs=1, families=("linear", "lightgbm"), validation="time", time="day"
    ).fit(pd.DataFrame({"x": x, "day": times}), y)
    assembly = model.outcome_.assembly
    assert assembly.weight is not None
    assert set(assembly.weight) == {1.0, 2.0, 4.0}
    loss = metric_of(NUMBER).loss(assembly.label, assembly.predictions, assembly.weight, NUMBER)
    assert assembly.loss == pytest.approx(loss)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=2, max_size=20))
def test_balanced_weights_give_every_class_the_same_total_whatever_the_weights_were(
    rows: list[tuple[bool, int]],
) -> None:
    label, weight = (np.array(column) * 1.0 for column in zip(*rows, strict=True))
    design = Design(X=np.zeros((len(rows), 1), dtype=np.float32), names=("x",), categorical=())
    balanced = _balanced(Rows(design=design, label=label, weight=weight))
    totals = [balanced[label == one].sum() for one in np.unique(label)]
    assert totals == pytest.approx([weight.sum() / len(totals)] * len(totals))
    assert balanced / weight == pytest.approx([(balanced / weight)[label == one][0] for one in label])


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 4)), min_size=1, max_size=12),
    st.sampled_from([0.25, 0.5, 0.75]),
)
def test_a_constant_is_a_quantile_of_rows_repeated_by_their_weights(rows: list[tuple[int, int]], level: float) -> None:
    label, weight = (np.array(column) * 1.0 for column in zip(*rows, strict=True))
    task = Task(kind="quantile", metric="pinball", quantiles=(level,))
    repeated = np.repeat(label, weight.astype(int))
    found = constant_prediction(label, weight, task)
    assert found == np.quantile(repeated, [level], method="inverted_cdf")
