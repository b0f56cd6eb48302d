"""Compiled trees: the same bits as LightGBM, for every kind of split, missing value and objective."""

from __future__ import annotations

import math
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.models.compiled import CompiledLightGBM, compiled
from headrace.models.design import Design
from headrace.models.ensemble import FittedEnsemble, FittedMember
from headrace.models.families.lightgbm import FittedLightGBM
from headrace.models.trees.forest import Forest
from headrace.models.trees.model_text import TextModel, TextTree, read_model_text
from headrace.models.trees.outputs import conversion

FEATURES = 5
#: Values at which comparisons and missing values are decided, beside ordinary ones.
EDGES = (np.nan, 0.0, -0.0, 1e-36, -1e-36, 2e-35, np.inf, -np.inf, -1.0, -0.5, 2.5, 31, 32, 1e9, 3e9, 1e-45)


@st.composite
def models(draw: st.DrawFn) -> tuple[lightgbm.Booster, int]:
    """A small trained model, and its seed."""
    seed = draw(st.integers(0, 2**16))
    objective = draw(st.sampled_from(["binary", "regression", "multiclass", "multiclassova", "poisson", "quantile"]))
    several = objective.startswith("multiclass")
    parameters: dict[str, Any] = {
        "objective": objective,
        "num_class": 3 if several else 1,
        "num_leaves": draw(st.sampled_from([2, 7, 31])),
        "zero_as_missing": draw(st.booleans()),
        "use_missing": draw(st.booleans()),
        "sigmoid": 1.0 if several else draw(st.sampled_from([1.0, 1.7])),
        "max_cat_to_onehot": draw(st.sampled_from([1, 8])),
        "min_data_in_leaf": 3, "min_data_per_group": 3, "cat_smooth": 1.0, "cat_l2": 0.0, "max_bin": 63,
        "learning_rate": 0.3, "num_threads": 1, "verbosity": -1, "seed": seed, "deterministic": True,
    }  # fmt: skip
    rng = np.random.default_rng(seed)
    X = rows(rng, 300, ordinary=True)
    signal = np.nan_to_num(X[:, 0]) + (np.nan_to_num(X[:, 3]) % 3) + rng.normal(size=300) * 0.3
    label = {"binary": signal > 1, "regression": signal, "quantile": signal}.get(objective, np.abs(signal) // 1 % 3)
    data = lightgbm.Dataset(X, np.asarray(label, dtype=float), categorical_feature=[3, 4], params=parameters)
    return lightgbm.train(parameters, data, draw(st.integers(1, 9))), seed


def rows(rng: np.random.Generator, n: int, *, ordinary: bool = False) -> NDArray[np.float32]:
    """Random rows: three numbers and two category codes, some missing; unless ordinary, with values of `EDGES`."""
    X = rng.normal(size=(n, FEATURES)) * [1, 100, 1e-3, 1, 1]
    X[:, 2] = np.where(rng.random(n) < 0.5, 0.0, X[:, 2])
    X[:, 3], X[:, 4] = rng.integers(0, 40, n), rng.integers(0, 4, n)
    X[rng.random(X.shape) < 0.15] = np.nan
    if not ordinary:
        unusual = rng.random(X.shape) < 0.3
        X[unusual] = rng.choice(EDGES, unusual.sum())
    return X.astype(np.float32)


@given(models())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_compiled_trees_have_the_bits_of_lightgbm(model: tuple[lightgbm.Booster, int]) -> None:
    booster, seed = model
    forest = Forest.from_text(booster.model_to_string())
    X = rows(np.random.default_rng(seed + 1), 300)
    raw = forest.raw(X)
    expected = booster.predict(X, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(raw, np.asarray(expected).reshape(raw.shape))
    convert = conversion(forest.objective)
    assert convert is not None
    predicted = np.asarray(booster.predict(X, num_threads=1))
    np.testing.assert_array_equal(convert(raw), predicted.reshape(raw.shape))


@given(models())
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_kernel_agrees_with_trees_walked_one_by_one(model: tuple[lightgbm.Booster, int]) -> None:
    booster, seed = model
    text = booster.model_to_string()
    X = rows(np.random.default_rng(seed + 2), 40)
    np.testing.assert_array_equal(Forest.from_text(text).raw(X), walked(read_model_text(text), X))


def walked(model: TextModel, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """The obvious twin: one row, one tree, one node at a time."""
    out = np.zeros((len(X), model.n_outputs))
    for row, values in enumerate(X.astype(np.float64).tolist()):
        for number, tree in enumerate(model.trees):
            out[row, number % model.n_outputs] += leaf_value(tree, values)
    return out


def leaf_value(tree: TextTree, row: list[float]) -> float:
    node = 0 if tree.splits else ~0
    while node >= 0:
        split = tree.splits[node]
        value = 0.0 if abs(row[split.feature]) <= 1e-35 else row[split.feature]
        if split.categories is not None:
            code = int(value) if -1 < value < 32 * len(split.categories) else -1
            left = code >= 0 and bool(split.categories[code // 32] >> code % 32 & 1)
        else:
            value = 0.0 if math.isnan(value) and split.missing != "nan" else value
            missing = math.isnan(value) or (split.missing == "zero" and value == 0)
            left = split.default_left if missing else value <= split.threshold
        node = split.left if left else split.right
    return tree.leaf_values[~node]


def trained(**parameters: Any) -> tuple[lightgbm.Booster, NDArray[np.float32]]:
    X = rows(np.random.default_rng(0), 200, ordinary=True)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, **parameters}
    label = (np.nan_to_num(X[:, 0]) > 0).astype(float)
    return lightgbm.train(parameters, lightgbm.Dataset(X, label, params=parameters), 5), X


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"objective": "regression", "linear_tree": True}, "linear models in its leaves"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "the mean of its trees"),
    ],
)
def test_what_cannot_be_compiled_is_refused_by_name(parameters: dict[str, Any], reason: str) -> None:
    booster, _ = trained(**parameters)
    with pytest.raises(DataError, match=reason):
        Forest.from_text(booster.model_to_string())
    fitted = FittedLightGBM(booster)
    assert compiled(fitted) is fitted


def test_an_unknown_objective_stays_with_lightgbm(caplog: pytest.LogCaptureFixture) -> None:
    booster, _ = trained(objective="regression", reg_sqrt=True)
    fitted = FittedLightGBM(booster)
    assert compiled(fitted) is fitted
    assert "objective regression sqrt is not compiled" in caplog.text


def test_a_text_that_is_no_model_is_refused() -> None:
    with pytest.raises(DataError, match="no model text"):
        Forest.from_text("a\nTree=0\nb=1")


def test_rows_of_another_shape_or_type_are_refused() -> None:
    booster, X = trained()
    forest = Forest.from_text(booster.model_to_string())
    for wrong in (X[:, :3], X.astype(np.float64), X[0]):
        with pytest.raises(DataError, match="expected float32"):
            forest.raw(wrong)


def test_members_of_an_ensemble_are_compiled() -> None:
    booster, X = trained()
    member = FittedMember(family="lightgbm", weight=0.5, fitted=FittedLightGBM(booster))
    ensemble = FittedEnsemble(members=(member, member), binary=True)
    fast = compiled(ensemble)
    assert isinstance(fast, FittedEnsemble)
    assert all(isinstance(item.fitted, CompiledLightGBM) for item in fast.members)
    design = Design(X=X, names=tuple("abcde"), categorical=())
    np.testing.assert_array_equal(fast.predict(design), ensemble.predict(design))
    np.testing.assert_array_equal(fast.contributions(design), ensemble.contributions(design))
