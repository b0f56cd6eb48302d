"""Sum and mean of numbers.

  x [n]            values that are not null, sorted by key, then time
  lo, mid, hi [m]  a range holds the values lo <= i < hi, all of one key; mid, between them, is its border

A lookback w has borders at the multiples of w, so every range contains one. Sums from the border backwards and sums
from the border forwards make up any range by one addition (van Herk, 1992; Gil and Werman, 1993, do so for extremes).
Nothing is subtracted: the bits of a result depend only on the values in the range, not on where the history starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation, AggregationFamily
from headrace.synthesis.primitives.double_double import add, divide
from headrace.synthesis.primitives.entries import LookbackRanges

_AGGREGATIONS = (
    Aggregation(name="sum", description="their sum", inputs=NUMBER, empty=0.0),
    Aggregation(name="mean", description="their mean", inputs=NUMBER),
)


def sums(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """The aggregations `names`, each [m]."""
    totals, means = range_sums(ranges.valid.x, ranges.lo, ranges.mid, ranges.hi)
    result = {"sum": totals, "mean": means}
    return {name: result[name] for name in names}


def range_sums(x: Floats, lo: Ints, mid: Ints, hi: Ints) -> tuple[Floats, Floats]:
    """Sum and mean [m] of the numbers x [n] at lo <= i < hi; NaN where a range is empty. mid: see the module's head."""
    out = np.empty((2, len(lo)))
    sums_within(x, lo, mid, hi, out)
    return out[0], out[1]


@njit(cache=True, nogil=True)
def sums_within(x: Any, lo: Any, mid: Any, hi: Any, out: Any) -> None:
    """out [2, m]: sum and mean; NaN where empty. Rounding errors are summed beside (Neumaier, 1974)."""
    back = np.empty((len(x), 2))
    border = left = right = -1
    total = lost = before = error = 0.0
    for j in range(len(lo)):
        n = hi[j] - lo[j]
        if n <= 0:
            out[0, j] = out[1, j] = np.nan
            continue
        if mid[j] != border:
            border = left = right = mid[j]
            total = lost = before = error = 0.0
        while left > lo[j]:
            left -= 1
            before, error = _plus(before, error, x[left])
            back[left, 0], back[left, 1] = before, error
        while right < hi[j]:
            total, lost = _plus(total, lost, x[right])
            right += 1
        sh, sl = total, lost
        if lo[j] < border:
            sh, sl = add(back[lo[j], 0], back[lo[j], 1], total, lost)
        out[0, j] = sh + sl
        mh, ml = divide(sh, sl, float(n))
        out[1, j] = mh + ml


@njit(cache=True, nogil=True)
def _plus(total: float, lost: float, here: float) -> Any:
    after = total + here
    error = after - total
    return after, lost + ((total - (after - error)) + (here - error))


SUMS = AggregationFamily(name="sums", aggregations=_AGGREGATIONS, kernel=sums, reads_only_lookback=True)
