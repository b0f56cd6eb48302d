"""Scaled numbers are finite whatever the columns hold, and keep their order; unknown categories stay unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.automl.prepare.scaling import SCALES, Scaled
from headrace.models.design import Design

NUMBERS = st.one_of(st.floats(width=32, min_value=-(2.0**126), max_value=2.0**126), st.just(float("nan")))


def column(values: Any, *, categorical: bool = False) -> Design:
    X = np.asarray(values, dtype=np.float32)[:, None]
    return Design(X=X, names=("a",), categorical=(0,) if categorical else ())


@pytest.mark.parametrize("scale", SCALES)
@settings(deadline=None, max_examples=50)
@given(st.lists(NUMBERS, min_size=2, max_size=30), st.lists(NUMBERS, min_size=1, max_size=5))
@example([float("nan"), 2.0**124], [0.0, float("nan"), -(2.0**125), 0.0, float("nan")])  # a sum in float32 is inf - inf
@example([0.0, 2.0**-149], [1.0])  # a deviation that is 0 in single precision
@example([1.2e-38, 1.2000003e-38], [1.0])
def test_any_numbers_become_finite_ones(scale: str, train: list[float], later: list[float]) -> None:
    scaled = Scaled(scale, seed=0)
    assert np.isfinite(scaled.fit_transform(column(train)).X).all()
    assert np.isfinite(scaled.transform(column([*later, 3e38, -3e38, float("nan")])).X).all()


@pytest.mark.parametrize("scale", SCALES)
def test_scaling_keeps_the_order(scale: str) -> None:
    values = np.sort(np.exp(np.random.default_rng(0).normal(size=100)))
    assert (np.diff(Scaled(scale, seed=0).fit_transform(column(values)).X[:, 0]) >= 0).all()


def test_powers_make_a_skewed_column_symmetric() -> None:
    values = np.exp(np.random.default_rng(0).normal(size=2_000))
    skewness = {scale: skew(Scaled(scale, seed=0).fit_transform(column(values)).X[:, 0]) for scale in SCALES}
    assert skewness["standard"] > 2
    assert abs(skewness["power"]) < 0.3


def skew(values: Any) -> float:
    return float(np.mean(((values - values.mean()) / values.std()) ** 3))


@pytest.mark.parametrize("scale", SCALES)
def test_an_unknown_category_is_none_of_the_known_ones(scale: str) -> None:
    scaled = Scaled(scale, seed=0)
    scaled.fit_transform(column([0, 1, 2, 0], categorical=True))
    assert scaled.transform(column([3], categorical=True)).X.sum() == 0
    assert scaled.transform(column([2], categorical=True)).X.sum() == 1
