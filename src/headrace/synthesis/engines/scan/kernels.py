"""Compiled loops over sorted rows and queries: bounds of lookbacks, and whether an entry in a range has ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def bounds(known: Any, start: Any, end: Any, query_key: Any, instant: Any, out: Any) -> None:
    """out [m]: the first row of each query's key known at or after an instant (us); these ascend within a key."""
    at = 0
    for j in range(len(query_key)):
        key = query_key[j]
        if key < 0:
            out[j] = 0
            continue
        at = max(at, start[key])
        while at < end[key] and known[at] < instant[j]:
            at += 1
        out[j] = at


@njit(cache=True, nogil=True)
def ended(until: Any, lo: Any, hi: Any, tick: Any, out: Any) -> None:
    """out [m]: whether any of lo <= i < hi has ended before the tick. lo and hi never decrease."""
    candidates = np.empty(len(until) + 1, dtype=np.int64)
    head = tail = right = 0
    for j in range(len(lo)):
        if hi[j] <= lo[j]:
            continue
        if lo[j] >= right:
            right = lo[j]
            head = tail = 0
        while right < hi[j]:
            while tail > head and until[candidates[tail - 1]] >= until[right]:
                tail -= 1
            candidates[tail] = right
            tail += 1
            right += 1
        while candidates[head] < lo[j]:
            head += 1
        out[j] = until[candidates[head]] < tick[j]
