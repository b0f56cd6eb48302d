"""Inputs of a network: scaled numbers, indicators, codes; constant, empty, unseen and very many values."""

from __future__ import annotations

import importlib.util
import itertools
import math

import numpy as np
import pytest

from headrace.core.errors import DeclarationError, UnavailableError
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design
from headrace.models.families import get_family, require_package
from headrace.networks.families.attribution import shapley_values
from headrace.networks.families.inputs import Inputs
from headrace.networks.training.torch_import import require_torch

NAN = np.nan


def design(*columns, categorical=()) -> Design:
    X = np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=1)
    return Design(X=X, names=tuple(f"x{i}" for i in range(X.shape[1])), categorical=tuple(categorical))


def test_numbers_are_scaled_by_median_and_quartiles_and_clipped_smoothly() -> None:
    train = design([1, 2, 3, 4, 5])
    z = Inputs.fit(train).transform(design([3, 5, 1e30])).numbers[:, 0]
    u = (5 - 3) / (4 - 2)
    np.testing.assert_allclose(z[:2], [0, u / math.sqrt(1 + (u / 3) ** 2)], rtol=1e-6)
    assert z[2] == pytest.approx(3)


def test_equal_quartiles_fall_back_on_the_range() -> None:
    inputs = Inputs.fit(design([0] * 9 + [4]))
    assert inputs.spread == (2.0,)


def test_constant_and_empty_columns_are_no_inputs() -> None:
    train = design([7, 7, 7], [NAN, NAN, NAN], [1, 2, 3], [5, NAN, 5])
    inputs = Inputs.fit(train)
    assert inputs.numeric == (2,)
    assert inputs.missing == (3,)  # constant, but whether it is there may matter
    later = inputs.transform(design([8], [1], [NAN], [NAN]))
    np.testing.assert_array_equal(later.numbers, [[0, 1]])


def test_missing_in_later_rows_only_is_the_median() -> None:
    assert Inputs.fit(design([1, 2, 3])).transform(design([NAN, 2])).numbers.tolist() == [[0], [0]]


def test_codes_unseen_rare_and_missing_levels_share_position_0() -> None:
    train = design([0, 0, 3, 3, 3, 8, NAN], categorical=[0])
    inputs = Inputs.fit(train)
    assert inputs.levels == (3,)  # 8 has one row only
    assert inputs.transform(design([0, 3, 8, 5, NAN, 1e6], categorical=[0])).codes[:, 0].tolist() == [1, 2, 0, 0, 0, 0]


def test_a_hundred_thousand_levels() -> None:
    codes = np.repeat(np.arange(100_000), 2)
    inputs = Inputs.fit(design(codes, categorical=[0]))
    assert inputs.levels == (100_001,)
    np.testing.assert_array_equal(inputs.transform(design(codes, categorical=[0])).codes[:, 0], codes + 1)


def test_bins_of_a_column_of_few_values() -> None:
    train = design([0] * 99 + [1], np.arange(100))
    inputs = Inputs.fit(train)
    few, many = inputs.bins(inputs.transform(train), 8)
    assert len(few) == 2
    assert len(many) == 9
    assert (np.diff(many) > 0).all()


def test_inputs_survive_json() -> None:
    inputs = Inputs.fit(design([1, 2, NAN], [0, 1, 1], categorical=[1]))
    assert Inputs.from_json(inputs.to_json()) == inputs


def test_shapley_values_against_all_permutations() -> None:
    """A function with interactions, one background row: the mean over all 24 orders."""

    def raw(X: np.ndarray) -> np.ndarray:
        return X[:, 0] * X[:, 1] + np.sin(X[:, 2]) * X[:, 0] + X[:, 3].astype(np.float64)

    X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    background = np.zeros((1, 4), dtype=np.float32)
    exact = np.zeros((5, 4))
    for order in itertools.permutations(range(4)):
        current = np.repeat(background, 5, axis=0)
        for column in order:
            before = raw(current)
            current[:, column] = X[:, column]
            exact[:, column] += (raw(current) - before) / 24
    estimate = shapley_values(raw, X, background, pairs=400)
    np.testing.assert_allclose(estimate, exact, atol=0.1)
    np.testing.assert_allclose(estimate.sum(axis=1), raw(X) - raw(background), rtol=1e-5, atol=1e-6)


def test_without_pytorch_everything_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else found(name, *rest)
    )
    require_torch.cache_clear()
    family = get_family("mlp")
    with pytest.raises(UnavailableError, match=r"headrace\[neural\]"):
        family.fit(design([1, 2, 3]), np.array([0.0, 1, 0]), family.default(), metric=METRICS["auc"])
    with pytest.raises(DeclarationError, match=r"headrace\[neural\]"):
        require_package("mlp", where="shop: families")
