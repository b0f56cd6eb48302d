"""Extremes: the smallest and the largest number, the range between them, and when they were last reached.

The kernel is a monotone deque (Lemire, 2006, "Streaming maximum-minimum filter"), one pass for each of the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from headrace.core.clock import NEVER
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation, AggregationFamily
from headrace.synthesis.primitives.entries import LookbackRanges, take_where

_AGGREGATIONS = (
    Aggregation(name="min", description="the smallest", inputs=NUMBER, cost=0.8),
    Aggregation(name="max", description="the largest", inputs=NUMBER, cost=0.8),
    Aggregation(name="range", description="the largest - the smallest", inputs=NUMBER),
    Aggregation(
        name="min_time",
        description="when the smallest was last seen",
        inputs=NUMBER,
        result="time",
        finish="time_since",
    ),
    Aggregation(
        name="max_time", description="when the largest was last seen", inputs=NUMBER, result="time", finish="time_since"
    ),
)


_SIDES = {"min": -1.0, "max": 1.0}


def extremes(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """The aggregations `names`, each [m]."""
    result: dict[str, npt.NDArray[Any]] = {}
    for side, sign in _SIDES.items():
        if names & {side, f"{side}_time", "range"}:
            at = reached(ranges.valid.x, ranges.lo, ranges.hi, sign)
            result[side] = take_where(ranges.valid.x, at, at >= 0, np.nan)
            result[f"{side}_time"] = take_where(ranges.valid.anchor, at, at >= 0, np.int64(NEVER))
    if "range" in names:
        result["range"] = result["max"] - result["min"]
    return {name: result[name] for name in names}


def reached(x: Floats, low: Ints, high: Ints, sign: float) -> Ints:
    """Where the largest (sign 1) or the smallest (sign -1) of low <= i < high stands last [m]; -1 where empty."""
    out = np.empty(len(low), dtype=np.int64)
    deque(x, low, high, sign, out)
    return out


@njit(cache=True, nogil=True)
def deque(x: Any, lo: Any, hi: Any, sign: float, out: Any) -> None:
    """out [m], see `reached`. lo and hi never decrease."""
    candidates = np.empty(len(x) + 1, dtype=np.int64)
    head = tail = right = 0
    for j in range(len(lo)):
        if hi[j] <= lo[j]:
            out[j] = -1
            continue
        if lo[j] >= right:
            right = lo[j]
            head = tail = 0
        while right < hi[j]:
            value = sign * x[right]
            while tail > head and sign * x[candidates[tail - 1]] <= value:
                tail -= 1
            candidates[tail] = right
            tail += 1
            right += 1
        while candidates[head] < lo[j]:
            head += 1
        out[j] = candidates[head]


EXTREMES = AggregationFamily(name="extremes", aggregations=_AGGREGATIONS, kernel=extremes, reads_only_lookback=True)
