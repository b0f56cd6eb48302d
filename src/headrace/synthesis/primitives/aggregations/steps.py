"""Steps: how values go from one to the next. Nulls are skipped.

The kernel differences running counts of comparisons between neighbours, and of signs of single values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.synthesis.language.values import Flags, Floats, Ints
from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation, AggregationFamily
from headrace.synthesis.primitives.aggregations.sums import range_sums
from headrace.synthesis.primitives.entries import Entries, LookbackRanges

_AGGREGATIONS = (
    Aggregation(name="mean_absolute_change", description="the mean size of a step", inputs=NUMBER),
    Aggregation(name="num_increases", description="how many steps go up", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_decreases", description="how many steps go down", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_zero_crossings", description="how many steps change the sign", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_peaks", description="how many are above both neighbours", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_positive", description="how many are above 0", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_negative", description="how many are below 0", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_zero", description="how many are 0", inputs=NUMBER, empty=0.0),
    Aggregation(
        name="num_switches",
        description="how many differ from the one before",
        inputs=("numeric", "categorical", "boolean"),
        empty=0.0,
    ),
)


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


def steps(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """The aggregations `names`, each [m]."""
    result = {name: _step(ranges, name) for name in names & _STEPS.keys()}
    result |= {name: _sign(ranges, name) for name in names & _SIGNS.keys()}
    if "num_peaks" in names:
        result["num_peaks"] = _peaks(ranges)
    if "mean_absolute_change" in names:
        result["mean_absolute_change"] = range_sums(_sizes(ranges.valid), *ranges.steps)[1]
    return result


def _before(valid: Entries, name: str, compute: Callable[[], Flags]) -> Ints:
    """How many hold before each position [n + 1]."""
    return valid.cached(name, lambda: np.concatenate([[0], np.cumsum(compute())]))


def _sign(ranges: LookbackRanges, name: str) -> Floats:
    before = _before(ranges.valid, name, lambda: np.asarray(_SIGNS[name](ranges.valid.x)))
    return (before[ranges.hi] - before[ranges.lo]).astype(np.float64)


def _step(ranges: LookbackRanges, name: str) -> Floats:
    def compute() -> Flags:
        values = ranges.valid.values
        holds = np.zeros(len(values), dtype=np.bool_)
        holds[1:] = _STEPS[name](values[:-1], values[1:])
        return holds

    before = _before(ranges.valid, name, compute)
    return (before[ranges.hi] - before[np.minimum(ranges.lo + 1, ranges.hi)]).astype(np.float64)


def _peaks(ranges: LookbackRanges) -> Floats:
    def compute() -> Flags:
        x = ranges.valid.x
        holds = np.zeros(len(x), dtype=np.bool_)
        holds[1:-1] = (x[1:-1] > x[:-2]) & (x[1:-1] > x[2:])
        return holds

    before = _before(ranges.valid, "peaks", compute)
    low, high = ranges.lo + 1, ranges.hi - 1
    return np.where(high > low, before[np.maximum(high, 0)] - before[np.minimum(low, ranges.hi)], 0).astype(np.float64)


def _sizes(valid: Entries) -> Floats:
    """The size of the step to each entry [n]; 0 at a key's first."""

    def compute() -> Floats:
        size = np.zeros(len(valid.key))
        size[1:] = np.where(valid.key[1:] == valid.key[:-1], np.abs(np.diff(valid.x)), 0.0)
        return size

    return valid.cached("sizes", compute)


STEPS = AggregationFamily(name="steps", aggregations=_AGGREGATIONS, kernel=steps, reads_only_lookback=True)
