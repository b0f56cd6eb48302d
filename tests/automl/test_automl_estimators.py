"""The estimators: conventions, kinds of task, bad targets, reproducibility, time.

All of scikit-learn's checks and all families are in test_automl_conventions.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

from headrace.automl import HeadraceClassifier, HeadraceRegressor, searching
from headrace.automl.bundle import load_model, save_model
from headrace.automl.sizing import divide, fold_count, row_limit, sampled_rows
from headrace.core.errors import CorruptError, DataError, DeclarationError, HeadraceError
from headrace.search.study.workers import TOO_LONG
from tests.automl.learning import LINEAR, QUICK, expect_every_kind_is_learnt, table


@pytest.mark.parametrize(
    "check", [check for _, check in estimator_checks_generator(HeadraceRegressor(**LINEAR), legacy=False)]
)
def test_scikit_learns_conventions(check: Any) -> None:
    check(HeadraceRegressor(**LINEAR))


@pytest.mark.parametrize("family", ["lightgbm", "linear"])
def test_a_family_learns_every_kind_and_is_read_back(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_every_kind_is_learnt(family, tmp_path, monkeypatch)


@pytest.mark.parametrize("family", ["catboost", "lightgbm", "linear", "xgboost"])
def test_quantiles(family: str) -> None:
    X, y = table(200)
    model = HeadraceRegressor(quantiles=(0.1, 0.9), families=(family,), **QUICK).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (200, 2)
    assert (predicted[:, 0] <= predicted[:, 1]).all()
    assert 0.5 < np.mean((predicted[:, 0] <= y) & (y <= predicted[:, 1])) <= 1


def test_equal_seeds_give_equal_models() -> None:
    X, y = table()
    options = {"seconds": None, "trials": 4, "n_jobs": 1, "families": ("lightgbm", "linear"), "folds": 3}
    first, second = (HeadraceRegressor(**options, random_state=3).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    board = first.leaderboard()
    assert board["weight"].iloc[1:].sum() == pytest.approx(1.0)
    assert board["value"].iloc[0] <= board["value"].iloc[1] + 1e-12


def test_a_skewed_target_a_portfolio_and_a_cheap_ensemble() -> None:
    X, y = table()
    portfolio = [
        {"family": "linear", "linear.strength": 1.0, "linear.scale": "standard"},
        {"family": "linear", "linear.strength": 1.0, "linear.scale": "standard", "target_scale": "log"},
    ]
    options = {**QUICK, "trials": 2, "families": ("linear",), "portfolio": portfolio, "cost_tolerance": 0.0}
    model = HeadraceRegressor(**options).fit(X, np.exp(2 * y))
    assert [trial.config.get("target_scale") for trial in model.outcome_.trials] == ["none", "log"]
    assert all(len(member.parts) == 1 for member in model.model_.members)  # one model a member, fitted on all rows
    relative = HeadraceRegressor(**{**options, "metric": "rmsle", "portfolio": None}).fit(X, np.exp(y))
    assert (relative.predict(X) >= 0).all()


def test_time_order_is_found_and_members_learn_from_all_rows() -> None:
    X, y = table()
    X = X.sort_values("day").reset_index(drop=True)
    model = HeadraceRegressor(**{**QUICK, "families": ("lightgbm",)}).fit(X, y)
    assert model.outcome_.decision.mode == "time"
    assert any("the rows are sorted by the time 'day'" in note for note in model.notes_)
    assert [key.startswith("all-") for member in model.model_.members for key, _ in member.parts] == [True]
    groups = np.arange(len(X)) // 10
    grouped = HeadraceRegressor(**LINEAR).fit(X, y, groups=groups)
    assert grouped.outcome_.decision.mode == "group"


def test_bad_targets_are_refused_with_a_reason() -> None:
    X, y = table(40)
    with pytest.raises(DataError, match="target is constant"):
        HeadraceRegressor(**LINEAR).fit(X, np.ones(40))
    with pytest.raises(DataError, match="one class only"):
        HeadraceClassifier(**LINEAR).fit(X, ["a"] * 40)
    with pytest.raises(DataError, match="1 row with a target"):
        HeadraceRegressor(**LINEAR).fit(X.iloc[:1], y[:1])
    with pytest.raises(DataError, match="infinite"):
        HeadraceRegressor(**LINEAR).fit(X, np.where(np.arange(40) == 3, np.inf, y))
    with pytest.raises(DataError, match="at least 0"):
        HeadraceRegressor(**LINEAR, metric="rmsle").fit(X, y)
    with pytest.raises(DeclarationError, match="no metric 'f1' for a regression"):
        HeadraceRegressor(**LINEAR, metric="f1").fit(X, y)
    with pytest.raises(DeclarationError, match="never ends"):
        HeadraceRegressor(seconds=None).fit(X, y)
    with pytest.raises(DeclarationError, match="no family 'forest'"):
        HeadraceRegressor(**{**QUICK, "families": ("forest",)}).fit(X, y)


def test_missing_targets_rare_classes_and_weights() -> None:
    X, y = table()
    label = np.where(y > 0, "yes", "no").astype(object)
    label[:7], label[7] = None, "once"
    model = HeadraceClassifier(**{**QUICK, "families": ("lightgbm",)}).fit(X, label)
    assert model.classes_.tolist() == ["no", "once", "yes"]
    assert "7 of 120 rows are left out: no target, or no weight" in model.notes_
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    heavy = np.where(y > 0, 1.0, 1e-3)
    weighted, plain = (HeadraceRegressor(**LINEAR).fit(X, y, weight).predict(X).mean() for weight in (heavy, None))
    assert weighted > plain + 0.1


def test_a_hundred_thousand_levels() -> None:
    n = 100_000
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"level": [f"v{one}" for one in range(n)], "x": rng.normal(size=n)})
    options = {**QUICK, "folds": 1, "families": ("linear",)}
    model = HeadraceRegressor(**options).fit(X, X["x"] + rng.normal(size=n))
    assert model.score(X.iloc[:1000], X["x"].iloc[:1000]) > 0.8


def test_a_small_budget_for_many_rows() -> None:
    assert row_limit(8.0) == 24_000
    assert row_limit(None) is None
    rows = sampled_rows(1_000_000, row_limit(60.0), seed=0)
    assert len(rows) == 180_000
    assert (np.diff(rows) > 0).all()
    assert [fold_count(n, 20, 60.0) for n in (1_000, 100_000, 180_000, 1_000_000)] == [5, 3, 3, 1]
    assert [fold_count(n, 20, 600.0) for n in (200, 1_000, 10_000)] == [5, 8, 5]
    times = divide(60.0, 2.0, refit="instead")
    assert times.search + times.refit + 2.0 < 60.0


def test_configurations_above_the_memory_limit_fail_and_say_so() -> None:
    X, y = table(400)
    with pytest.raises(HeadraceError, match=r"out of memory: the trial used \d+ MB, more than 1 MB"):
        HeadraceRegressor(**LINEAR, memory_gb=0.001).fit(X, y)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    X, y = table(40)
    model = clone(HeadraceRegressor(**LINEAR)).fit(X, y)
    save_model(model.model_, tmp_path / "model")
    file = tmp_path / "model" / "model.skops"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptError):
        load_model(tmp_path / "model")


_SCRIPT = """
import time
import numpy as np
import pandas as pd
from headrace.automl import HeadraceRegressor

X = pd.DataFrame({"a": np.arange(200.0), "b": np.arange(200) % 7})
started = time.monotonic()
model = HeadraceRegressor(seconds=10, families=("linear", "lightgbm"), n_jobs=2).fit(X, X["a"] + X["b"])
print(f"{time.monotonic() - started:.1f} {len(model.outcome_.trials)}")
"""


def test_a_script_without_a_main_guard_searches_in_its_time(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    ended = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    took, trials = ended.stdout.split()
    assert float(took) < 14
    assert int(trials) >= 1


LATE = (
    HeadraceError("no trial finished within the time budget", where="study"),
    HeadraceError("all 2 trials failed", where="study", traces=[f"{TOO_LONG} 6 s and was killed"] * 2),
)


@pytest.mark.parametrize("error", LATE, ids=str)
def test_where_nothing_finishes_in_time_a_quick_configuration_is_fitted(
    monkeypatch: pytest.MonkeyPatch, error: HeadraceError
) -> None:
    def late(*arguments: Any, **named: Any) -> Any:
        raise error

    monkeypatch.setattr(searching, "run_study", late)
    X, y = table()
    model = HeadraceRegressor(seconds=5, families=("catboost", "lightgbm"), folds=2).fit(X, y)
    assert model.score(X, y) > 0.5
    assert any("a quick one was fitted beyond the limit" in note for note in model.notes_)
    assert model.leaderboard()["family"].tolist() == ["ensemble", "lightgbm"]
