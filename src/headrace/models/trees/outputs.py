"""LightGBM's conversions of raw scores to predictions, by its objective, with the C library's exp as LightGBM uses it.

NumPy's exp differs from the C library's in the last bit of some results, so single numbers go through `math.exp`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

_IDENTITY = ("regression", "regression_l1", "l1", "l2", "huber", "fair", "quantile", "mape")
_EXPONENTIAL = ("poisson", "gamma", "tweedie")


def conversion(objective: tuple[str, ...]) -> Callable[[Scores], Scores] | None:
    """Return the conversion of raw scores [n, k] to predictions [n, k]; None where it is not implemented.

    Args:
        objective: Words of the objective in the model's text, such as ("binary", "sigmoid:1").
    """
    name, *parameters = objective or ("",)
    if name in _IDENTITY:
        return None if "sqrt" in parameters else lambda raw: raw
    if name in _EXPONENTIAL:
        return lambda raw: _each(raw, _exp)
    if name in ("binary", "multiclassova"):
        steepness = _parameter(parameters, "sigmoid")
        return lambda raw: _each(raw, lambda score: 1.0 / (1.0 + _exp(-steepness * score)))
    if name == "cross_entropy":
        return lambda raw: _each(raw, lambda score: 1.0 / (1.0 + _exp(-score)))
    return _softmax if name == "multiclass" else None


def _each(raw: Scores, function: Callable[[float], float]) -> Scores:
    return np.array([function(score) for score in raw.ravel().tolist()], dtype=np.float64).reshape(raw.shape)


def _softmax(raw: Scores) -> Scores:
    converted = np.empty_like(raw)
    for at, row in enumerate(raw.tolist()):
        largest = max(row)
        powers = [math.exp(score - largest) for score in row]
        total = 0.0
        for power in powers:
            total += power
        converted[at] = [power / total for power in powers]
    return converted


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _parameter(parameters: list[str], name: str) -> float:
    values = dict(item.split(":", 1) for item in parameters if ":" in item)
    return float(values.get(name, 1.0))
