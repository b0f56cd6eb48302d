"""Parameters of the estimators in forms that users of scikit-learn expect, and others, which are refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from headrace.automl import HeadraceRegressor, table_estimator
from headrace.automl.engine import Table, _validation
from headrace.automl.options import Options
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Task
from headrace.core.errors import DataError, DeclarationError
from tests.automl.learning import LINEAR, table

Y = np.arange(24.0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seconds": float("nan")}, "seconds must be a positive number, not nan"),
        ({"seconds": "10"}, "seconds must be a positive number, not '10'"),
        ({"trials": 2.5}, "trials must be a positive whole number, not 2.5"),
        ({"folds": 0}, "folds must be a positive whole number, not 0"),
        ({"validation": "bogus"}, "no validation 'bogus'"),
        ({"families": "lightgbm"}, r"'lightgbm' is no list of families. write \('lightgbm',\)"),
        ({"portfolio": [{"family": "zz"}]}, "portfolio: {'family': 'zz'} is no configuration of a family"),
        ({"portfolio": [{"a": 1}]}, "portfolio: {'a': 1} is no configuration"),
        ({"portfolio": ["linear"]}, "portfolio: 'linear' is no configuration"),
        ({"random_state": "x"}, "random_state: 'x' is no seed"),
        ({"random_state": -1}, "random_state: -1 is no seed"),
    ],
)
def test_a_parameter_of_a_wrong_type_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        HeadraceRegressor(**parameters)._options(given_groups=False)


@pytest.mark.parametrize("quantiles", [0.5, "0.1,0.9", (0.1, "much")])
def test_quantiles_that_are_no_list_are_named(quantiles: Any) -> None:
    with pytest.raises(DeclarationError, match=r"quantiles: .* is no list of levels. write it as \(0.1, 0.5, 0.9\)"):
        HeadraceRegressor(quantiles=quantiles)._target(Y, 24)


def test_quantiles_may_be_an_array_and_rows_to_predict_too() -> None:
    X, y = table(60)
    given = X[["a"]].to_numpy()
    model = HeadraceRegressor(**LINEAR, quantiles=np.array([0.1, 0.9])).fit(given, y, X_predict=given)
    assert model.predict(given).shape == (60, 2)


def test_a_seed_is_drawn_from_a_generator() -> None:
    first, again, other = (
        HeadraceRegressor(random_state=np.random.RandomState(seed))._options(given_groups=False).seed
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert HeadraceRegressor(random_state=np.int64(7))._options(given_groups=False).seed == 7
    assert HeadraceRegressor(random_state=None)._options(given_groups=False).seed == 0


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(23), r"groups: an array of shape \(23,\) cannot tell the groups of 24 rows"),
        (np.arange(30), r"an array of shape \(30,\) cannot tell"),
        (np.zeros((24, 2)), r"an array of shape \(24, 2\) cannot tell"),
        ("city", "name a column of groups when the estimator is made: groups='city'"),
    ],
)
def test_groups_that_are_not_those_of_the_rows_are_refused(
    monkeypatch: pytest.MonkeyPatch, groups: Any, message: str
) -> None:
    monkeypatch.setattr(table_estimator, "search_table", lambda *arguments, **named: pytest.fail("searched"))
    with pytest.raises(DataError, match=message):
        HeadraceRegressor().fit(table(24)[0], Y, groups=groups)


@pytest.mark.parametrize(("validation", "mode"), [("random", "random"), ("group", "group"), ("time", "time")])
def test_given_groups_do_not_overrule_the_requested_validation(validation: Any, mode: str) -> None:
    frame = pd.DataFrame({"a": Y})
    task = Task(kind="regression", metric="rmse")
    rows = Table(frame=frame, label=Y, task=task, keys=np.arange(24) % 4)
    decision, keys = _validation(rows, frame, Cleaner.fit(frame), Options(validation=validation))
    assert decision.mode == mode
    assert (keys is None) == (mode == "random")
