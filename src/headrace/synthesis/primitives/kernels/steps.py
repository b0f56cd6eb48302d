"""Steps and signs: running counts of what holds between neighbours, and of single values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.synthesis.language.values import Flags, Floats, Ints
from headrace.synthesis.primitives.entries import Asked, Entries
from headrace.synthesis.primitives.kernels.moments import window_sums

Values = npt.NDArray[Any]

_SIGNS: dict[str, Callable[[Values], Any]] = {
    "num_positive": lambda x: x > 0,
    "num_negative": lambda x: x < 0,
    "num_zero": lambda x: x == 0,
}
#: Of the value before and the value after a step.
_STEPS: dict[str, Callable[[Values, Values], Any]] = {
    "num_increases": lambda a, b: b > a,
    "num_decreases": lambda a, b: b < a,
    "num_zero_crossings": lambda a, b: ((a < 0) & (b > 0)) | ((a > 0) & (b < 0)),
    "num_switches": lambda a, b: a != b,
}


def steps(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """Those of the names that are asked for."""
    found = {name: _step(asked, name) for name in names & _STEPS.keys()}
    found |= {name: _sign(asked, name) for name in names & _SIGNS.keys()}
    if "num_peaks" in names:
        found["num_peaks"] = _peaks(asked)
    if "mean_absolute_change" in names:
        found["mean_absolute_change"] = window_sums(_sizes(asked.filled), *asked.steps)[1]
    return found


def _before(filled: Entries, name: str, make: Callable[[], Flags]) -> Ints:
    """How many hold before each position [n + 1]."""
    return filled.once(name, lambda: np.concatenate([[0], np.cumsum(make())]))


def _sign(asked: Asked, name: str) -> Floats:
    before = _before(asked.filled, name, lambda: np.asarray(_SIGNS[name](asked.filled.x)))
    return (before[asked.high] - before[asked.low]).astype(np.float64)


def _step(asked: Asked, name: str) -> Floats:
    def make() -> Flags:
        values = asked.filled.values
        holds = np.zeros(len(values), dtype=np.bool_)
        holds[1:] = _STEPS[name](values[:-1], values[1:])
        return holds

    before = _before(asked.filled, name, make)
    return (before[asked.high] - before[np.minimum(asked.low + 1, asked.high)]).astype(np.float64)


def _peaks(asked: Asked) -> Floats:
    def make() -> Flags:
        x = asked.filled.x
        holds = np.zeros(len(x), dtype=np.bool_)
        holds[1:-1] = (x[1:-1] > x[:-2]) & (x[1:-1] > x[2:])
        return holds

    before = _before(asked.filled, "peaks", make)
    low, high = asked.low + 1, asked.high - 1
    return np.where(high > low, before[np.maximum(high, 0)] - before[np.minimum(low, asked.high)], 0).astype(np.float64)


def _sizes(filled: Entries) -> Floats:
    """The size of the step to each entry [n]; 0 at a key's first."""

    def make() -> Floats:
        size = np.zeros(len(filled.key))
        size[1:] = np.where(filled.key[1:] == filled.key[:-1], np.abs(np.diff(filled.x)), 0.0)
        return size

    return filled.once("sizes", make)
