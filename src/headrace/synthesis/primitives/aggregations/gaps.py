"""Gaps: the seconds from one row (whose value is not null) to the next.

The kernel computes sums and extremes of the differences between neighbouring entries.
"""

from __future__ import annotations

import numpy as np

from headrace.core.clock import SECOND
from headrace.synthesis.language.values import Floats
from headrace.synthesis.primitives.aggregation import ANY, Aggregation, AggregationFamily
from headrace.synthesis.primitives.aggregations.extremes import reached
from headrace.synthesis.primitives.aggregations.moments import range_deviations
from headrace.synthesis.primitives.entries import Entries, LookbackRanges, take_where

_AGGREGATIONS = (
    Aggregation(name="mean_time_between", description="the mean gap", inputs=ANY, rows=True),
    Aggregation(
        name="std_time_between", description="the sample standard deviation of the gaps", inputs=ANY, rows=True
    ),
    Aggregation(name="min_time_between", description="the shortest gap", inputs=ANY, rows=True),
    Aggregation(name="max_time_between", description="the longest gap", inputs=ANY, rows=True),
    Aggregation(name="last_time_between", description="the last gap", inputs=ANY, rows=True),
)


def gaps(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """The aggregations `names`, each [m]."""
    between = _between(ranges.valid)
    lo, mid, hi = ranges.steps  # a range of n entries has n - 1 gaps
    n, some = hi - lo, hi > lo
    result: dict[str, Floats] = {}
    if "mean_time_between" in names:
        anchor = ranges.valid.anchor
        first, last = (take_where(anchor, at, some, np.int64(0)) for at in (ranges.lo, hi - 1))
        with np.errstate(all="ignore"):
            result["mean_time_between"] = np.where(some, (last - first) / SECOND / n, np.nan)
    if "std_time_between" in names:
        with np.errstate(all="ignore"):
            squares = range_deviations(between.x, lo, mid, hi)[:, 2]
            result["std_time_between"] = np.where(n >= 2, np.sqrt(squares / (n - 1)), np.nan)
    for side, sign in (("min", -1.0), ("max", 1.0)):
        if f"{side}_time_between" in names:
            at = reached(between.x, lo, hi, sign)
            result[f"{side}_time_between"] = take_where(between.x, at, at >= 0, np.nan)
    if "last_time_between" in names:
        result["last_time_between"] = take_where(between.x, hi - 1, some, np.nan)
    return {name: result[name] for name in names}


def _between(valid: Entries) -> Entries:
    """The seconds since the entry before, as entries; 0 at a key's first."""

    def compute() -> Entries:
        seconds = np.zeros(len(valid.key))
        seconds[1:] = np.where(valid.key[1:] == valid.key[:-1], np.diff(valid.anchor) / SECOND, 0.0)
        return Entries(key=valid.key, anchor=valid.anchor, number=seconds)

    return valid.cached("between", compute)


GAPS = AggregationFamily(name="gaps", aggregations=_AGGREGATIONS, kernel=gaps, reads_only_lookback=True)
