"""Deadlines: what counts as the time of boosting, and what becomes of models that are cut at a deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headrace.automl import refitting
from headrace.automl.choosing import Candidate
from headrace.automl.ensemble.model import Member, TableModel
from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.families.protocol import Fit, Rows
from headrace.automl.refitting import FittedMembers, Refitting, load_bags
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Task
from headrace.automl.trials import objective
from headrace.automl.trials.data import SearchData, write_data
from headrace.automl.trials.objective import TableObjective
from headrace.automl.trials.prepared import prepared_fold
from headrace.automl.validation.folds import make_folds
from headrace.models.callback import NoCallback
from headrace.models.design import Design
from headrace.models.space import Config

TASK = Task(kind="regression", metric="rmse")
PAST = 0.0


def searched(folder: Path) -> tuple[SearchData, str]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(90, 2)), columns=["a", "b"])
    y, cleaner = X.a.to_numpy() + 0.1 * X.b.to_numpy(), Cleaner.fit(X)
    folds = make_folds("random", y, TASK, count=2, seed=0)
    data = SearchData(frame=cleaner.transform(X), label=y, weight=None, folds=folds, cleaner=cleaner, task=TASK)
    return data, write_data(folder, data)


def config_of(family: str) -> Config:
    return {"family": family, **{f"{family}.{key}": value for key, value in TABLE_FAMILIES[family].default().items()}}


def test_the_time_of_boosting_begins_after_the_preparation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, digest = searched(tmp_path)
    now, deadlines = [100.0], list[float]()

    class Clock:
        perf_counter = staticmethod(time.perf_counter)

        @staticmethod
        def monotonic() -> float:
            return now[0]

    def prepared(*arguments: Any) -> Any:
        now[0] += 50
        return prepared_fold(*arguments)

    def fitted(config: Any, train: Any, valid: Any, fit: Fit) -> Any:
        deadlines.append(fit.deadline)
        return fit_config(config, train, valid, fit)

    fit_config = objective.fit_config
    monkeypatch.setattr(objective, "time", Clock)
    monkeypatch.setattr(objective, "prepared_fold", prepared)
    monkeypatch.setattr(objective, "fit_config", fitted)
    TableObjective(folder=tmp_path, digest=digest, trial_s=20.0, deadline=205.0).evaluate_rungs(
        config_of("linear"), NoCallback()
    )
    assert deadlines == [150 + 10, 205.0]  # two folds, 10 s each; the end of the search


@pytest.mark.parametrize("family", ["catboost", "lightgbm", "xgboost"])
def test_a_deadline_in_the_first_round_leaves_a_model(family: str) -> None:
    pytest.importorskip(TABLE_FAMILIES[family].module)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2)).astype(np.float32)
    rows = Rows(design=Design(X=X, names=("a", "b"), categorical=()), label=X[:, 0].astype(np.float64))
    model = TABLE_FAMILIES[family].fit(rows, rows, TABLE_FAMILIES[family].default(), Fit(task=TASK, deadline=PAST))
    assert model.rounds == 1
    assert np.isfinite(model.predict(rows.design)).all()


def bag_of(family: str, folder: Path) -> Bag:
    """A search whose only trial is the family's default."""
    data, digest = searched(folder)
    config = config_of(family)
    result = TableObjective(folder=folder, digest=digest).evaluate_rungs(config, NoCallback())
    candidate = Candidate(
        number=0, config=config, weight=1.0, predictions=np.zeros((90, 1)), seconds=0.0, predict_us=1.0,
        prepare_us=1.0, file=str(result["file"]),
    )  # fmt: skip
    return Bag(data=data, fitted=load_bags(folder, [candidate]), rounds=result["rounds"])


@dataclass(frozen=True, kw_only=True)
class Bag:
    """A configuration that was cross-validated."""

    data: SearchData
    fitted: FittedMembers
    rounds: list[int | None]

    @property
    def member(self) -> Member:
        return self.fitted.members[0]

    def refitting(self, until: float = 1e18) -> Refitting:
        return Refitting(data=self.data, seed=0, threads=1, until=until)


@pytest.mark.parametrize("family", ["catboost", "extra_trees", "lightgbm", "xgboost"])
def test_a_member_that_is_cut_while_it_is_fitted_on_all_rows_keeps_the_model_of_its_last_fold(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(TABLE_FAMILIES[family].module)
    bag = bag_of(family, tmp_path)
    assert (bag.rounds[-1] or 0) > 1

    whole = bag.refitting().replace_bags(bag.fitted)
    assert [key.startswith("all-") for key, _ in whole.members[0].parts] == [True]
    assert whole.members[0].parts[0][1].fitted.rounds == bag.rounds[-1]
    assert set(whole.preparations) == {whole.members[0].parts[0][0]}
    assert whole.notes == ()

    class Clock:
        """Begins the fit before the deadline, which has passed for the family's own clock."""

        instants = iter((PAST - 1, PAST + 1))

        @classmethod
        def monotonic(cls) -> float:
            return next(cls.instants)

    monkeypatch.setattr(refitting, "time", Clock)
    cut = bag.refitting(PAST).replace_bags(bag.fitted)
    assert next(Clock.instants, None) is None
    assert cut.members[0].parts == bag.member.parts[-1:]
    assert set(cut.preparations) == {cut.members[0].parts[0][0]}
    assert cut.notes == ("1 of 1 members keep the model of their last fold: no time to fit all rows",)


@pytest.mark.parametrize("family", ["linear", "lightgbm"])
def test_a_model_of_all_rows_beside_a_bag_counts_as_much_as_the_bag(family: str, tmp_path: Path) -> None:
    bag = bag_of(family, tmp_path)
    both = bag.refitting().add_to_bags(bag.fitted)
    (member,), preparations = both.members, both.preparations
    assert both.notes == ()
    assert member.parts == bag.member.parts
    task, cleaner, rows = bag.data.task, bag.data.cleaner, bag.data.frame

    def predicted(one: Member) -> Any:
        model = TableModel(task=task, cleaner=cleaner, preparations=preparations, members=(one,))
        return model.predict_cleaned(rows)

    alone = predicted(replace(bag.member, parts=(member.whole,)))
    np.testing.assert_allclose(predicted(member), (predicted(bag.member) + alone) / 2)
    assert not np.allclose(alone, predicted(bag.member))
    model = TableModel(task=task, cleaner=cleaner, preparations=preparations, members=(member,))
    np.testing.assert_array_equal(model.only(member).predict_cleaned(rows), predicted(member))


def test_without_time_for_all_rows_a_bag_stays_alone_and_says_so(tmp_path: Path) -> None:
    bag = bag_of("linear", tmp_path)
    late = bag.refitting(PAST).add_to_bags(bag.fitted)
    assert late.members == bag.fitted.members
    assert late.preparations == bag.fitted.preparations
    assert late.notes == ("1 of 1 members are bags alone: no time to fit all rows too",)


def test_beside_a_second_level_bags_stay_alone(tmp_path: Path) -> None:
    bag = bag_of("linear", tmp_path)
    stacked = replace(bag.fitted, members=(replace(bag.member, inputs=(0,)),))
    assert bag.refitting().add_to_bags(stacked) == stacked
