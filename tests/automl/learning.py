"""A small table of mixed columns, and what every family of models must learn from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headrace.automl import HeadraceClassifier, HeadraceRegressor
from headrace.automl.bundle import load_model, save_model
from headrace.automl.families import TABLE_FAMILIES, catboost, sklearn_models

QUICK: dict[str, Any] = {"seconds": None, "trials": 1, "n_jobs": 1, "folds": 2}
LINEAR: dict[str, Any] = {**QUICK, "families": ("linear",), "calibrate": False}


def table(n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, Any]:
    """Columns of several kinds and a number that depends on three of them."""
    rng = np.random.default_rng(seed)
    words = np.array(["red car", "green bike", "blue boat", "fast old train", "slow new bus"])
    X = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "city": rng.choice(["Rome", "Oslo", "Lima"], n),
            "code": [f"k{one}" for one in rng.integers(60, size=n)],
            "day": pd.date_range("2024-01-01", periods=n)[rng.permutation(n)],
            "text": [" ".join(rng.choice(words, 3)) + f" {one % 17}" for one in range(n)],
        }
    )
    y = X["a"].to_numpy() + (X["city"] == "Oslo") * 2 + np.nan_to_num(X["b"].to_numpy()) + 0.1 * rng.normal(size=n)
    return X, np.asarray(y)


def expect_every_kind_is_learnt(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, two and three classes are learnt, and the model that is read back from a folder predicts the same."""
    pytest.importorskip(TABLE_FAMILIES[family].module)
    monkeypatch.setattr(sklearn_models, "_TREES", 25)
    monkeypatch.setattr(catboost, "_MAX_ROUNDS", 60)
    X, y = table()
    classes = np.where(y > 1.5, "high", np.where(y > 0, "middle", "low"))
    options = {**QUICK, "families": (family,)}
    number = HeadraceRegressor(**options).fit(X, y)
    assert number.score(X, y) > 0.3
    save_model(number.model_, tmp_path / "number")
    np.testing.assert_array_equal(load_model(tmp_path / "number").predict(X), number.model_.predict(X))
    if family == "elastic_net":  # predicts numbers only
        return
    three = HeadraceClassifier(**options).fit(X, classes)
    assert three.score(X, classes) > (0.4 if family == "svm" else 0.5)
    two = HeadraceClassifier(**options).fit(X, y > 0)
    assert two.predict_proba(X).shape == (120, 2)
    for name, model in (("three", three), ("two", two)):
        save_model(model.model_, tmp_path / name)
        np.testing.assert_array_equal(load_model(tmp_path / name).predict(X), model.model_.predict(X))
