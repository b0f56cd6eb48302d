"""Spaces: declared wrongly they are refused; sampled configs are inside them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DeclarationError
from headrace.search.searchers import SEARCHERS
from headrace.search.space import Categorical, Choice, Float, Integer, Space, config_errors, sample

SPACE = Space(
    {
        "family": Choice(
            {
                "trees": Space({"rate": Float(1e-3, 1, log=True), "leaves": Integer(2, 9)}),
                "line": Space({"scale": Categorical(("standard", "quantile", None))}),
                "constant": Space({}),
            }
        ),
        "rows": Integer(1, 1000, log=True),
    }
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(2, 1), "lower bound 2 is not below"),
        (lambda: Integer(3, 3), "not below"),
        (lambda: Float(0, 1, log=True), "logarithmic range cannot start at 0"),
        (lambda: Integer(-1, 5, log=True), "logarithmic range cannot start at -1"),
        (lambda: Float(0, math.inf), "finite"),
        (lambda: Float(math.nan, 1), "finite"),
        (lambda: Integer(1.5, 3), "whole"),  # type: ignore[arg-type]
        (lambda: Categorical(()), "no options"),
        (lambda: Categorical(("a", "a")), "twice"),
        (lambda: Choice({}), "no options"),
        (lambda: Space({"a.b": Float(0, 1)}), "cannot name a parameter"),
        (lambda: SEARCHERS["random"](Space({})), "space is empty"),
        (lambda: SEARCHERS["tpe"](Space({})), "space is empty"),
    ],
)
def test_wrong_declarations_are_refused(make: object, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        make()  # type: ignore[operator]


@given(seed=st.integers(0, 10_000))
def test_samples_are_inside(seed: int) -> None:
    assert config_errors(SPACE, sample(SPACE, np.random.default_rng(seed))) == []


def test_what_is_wrong_with_a_config_is_said() -> None:
    good = {"family": "trees", "trees.rate": 0.1, "trees.leaves": 3, "rows": 5}
    assert config_errors(SPACE, good) == []
    assert "missing" in config_errors(SPACE, {"family": "trees", "trees.rate": 0.1, "rows": 5})[0]
    assert "outside" in config_errors(SPACE, {**good, "rows": 0})[0]
    assert "outside" in config_errors(SPACE, {**good, "rows": True})[0]
    assert "outside" in config_errors(SPACE, {**good, "trees.leaves": 2.5})[0]
    assert "unknown" in config_errors(SPACE, {**good, "line.scale": "standard"})[0]


def test_a_logarithmic_range_is_uniform_in_its_logarithm() -> None:
    rng = np.random.default_rng(0)
    drawn = [math.log10(float(sample(Space({"x": Float(1e-4, 1, log=True)}), rng)["x"])) for _ in range(2000)]  # type: ignore[arg-type]
    assert np.mean(drawn) == pytest.approx(-2, abs=0.1)
