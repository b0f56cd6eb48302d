"""Racing of a table's configurations by fold: the first of each family is not stopped while it is cheap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headrace.automl.searching import first_of_families
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Task
from headrace.automl.trials.data import SearchData, write_data
from headrace.automl.trials.objective import TableObjective
from headrace.automl.validation.folds import make_folds
from headrace.core.fingerprint import fingerprint

CONFIG: dict[str, Any] = {"family": "linear", "linear.strength": 1.0, "linear.scale": "standard"}


class Stopped(Exception):
    """The callback stopped the trial."""


class StopsAtOnce:
    def on_rung(self, name: str, loss: float) -> None:
        raise Stopped

    def on_round(self, loss: float) -> None: ...


def objective(folder: Path, **changes: Any) -> TableObjective:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    y, task, cleaner = X.a.to_numpy() + 1.0, Task(kind="regression", metric="rmse"), Cleaner.fit(X)
    folds = make_folds("random", y, task, count=3, seed=0)
    data = SearchData(frame=cleaner.transform(X), label=y, weight=None, folds=folds, cleaner=cleaner, task=task)
    return TableObjective(folder=folder, digest=write_data(folder, data), **changes)


def test_a_config_that_is_to_be_evaluated_in_full_is_not_stopped(tmp_path: Path) -> None:
    full = frozenset([fingerprint(CONFIG)])
    assert objective(tmp_path, full=full).evaluate_rungs(CONFIG, StopsAtOnce())["loss"] >= 0
    with pytest.raises(Stopped):
        objective(tmp_path).evaluate_rungs(CONFIG, StopsAtOnce())


def test_it_is_stopped_where_all_its_folds_would_take_too_long(tmp_path: Path) -> None:
    slow = objective(tmp_path, full=frozenset([fingerprint(CONFIG)]), full_s=0.0)
    with pytest.raises(Stopped):
        slow.evaluate_rungs(CONFIG, StopsAtOnce())


def test_the_first_config_of_each_family_is_one_of_them() -> None:
    configs = [CONFIG, {**CONFIG, "linear.strength": 2.0}, {"family": "svm"}]
    assert first_of_families(configs) == {fingerprint(configs[0]), fingerprint(configs[2])}
