"""Compiled loops over entries and queries, both sorted by key, then time. Families of primitives have their own."""

from __future__ import annotations

from typing import Any

from numba import njit

from headrace.core.clock import NEVER


@njit(cache=True, nogil=True)
def bounds(known: Any, start: Any, end: Any, query_key: Any, query_tick: Any, lookback_us: int, lo: Any) -> None:
    """lo [m]: the first entry of each query's key that is known at or after tick - lookback."""
    at = 0
    for j in range(len(query_key)):
        key = query_key[j]
        if key < 0:
            lo[j] = 0
            continue
        at = max(at, start[key])
        since = query_tick[j] - lookback_us
        while at < end[key] and known[at] < since:
            at += 1
        lo[j] = at


@njit(cache=True, nogil=True)
def first_end(until: Any, start: Any, end: Any, out: Any) -> None:
    """out [keys]: the earliest instant at which any assertion of a key is superseded."""
    for key in range(len(start)):
        least = NEVER
        for i in range(start[key], end[key]):
            least = min(least, until[i])
        out[key] = least
