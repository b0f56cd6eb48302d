"""Minimum and maximum: two monotone deques, one sweep."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.engines.families.entries import Asked
from headrace.synthesis.values import Floats


def extremes(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """Those of the names that are asked for."""
    table = np.full((asked.size, 2), np.nan)
    deques(asked.filled.x, asked.low, asked.high, table)
    return {name: table[:, ("min", "max").index(name)] for name in names}


@njit(cache=True, nogil=True)
def deques(x: Any, lo: Any, hi: Any, out: Any) -> None:
    """out [m, 2]: minimum and maximum by two monotone deques, one sweep; NaN where empty."""
    low = np.empty(len(x) + 1, dtype=np.int64)
    high = np.empty(len(x) + 1, dtype=np.int64)
    low_head = low_tail = high_head = high_tail = 0
    right = 0
    for j in range(len(lo)):
        if hi[j] <= lo[j]:
            continue
        if lo[j] > right:
            right = lo[j]
        if right < hi[j] and right <= lo[j]:
            low_head = low_tail = high_head = high_tail = 0
        while right < hi[j]:
            while low_tail > low_head and x[low[low_tail - 1]] >= x[right]:
                low_tail -= 1
            low[low_tail] = right
            low_tail += 1
            while high_tail > high_head and x[high[high_tail - 1]] <= x[right]:
                high_tail -= 1
            high[high_tail] = right
            high_tail += 1
            right += 1
        while low[low_head] < lo[j]:
            low_head += 1
        while high[high_head] < lo[j]:
            high_head += 1
        out[j, 0] = x[low[low_head]]
        out[j, 1] = x[high[high_head]]
