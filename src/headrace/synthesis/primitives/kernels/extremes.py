"""Extremes: a monotone deque (Lemire, 2006, "Streaming maximum-minimum filter"), one sweep for each end."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from headrace.core.clock import NEVER
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.entries import Asked, gather

_SIDES = {"min": -1.0, "max": 1.0}


def extremes(asked: Asked, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """Those of the names that are asked for."""
    found: dict[str, npt.NDArray[Any]] = {}
    for side, sign in _SIDES.items():
        if names & {side, f"{side}_time", "range"}:
            at = reached(asked.filled.x, asked.low, asked.high, sign)
            found[side] = gather(asked.filled.x, at, at >= 0, np.nan)
            found[f"{side}_time"] = gather(asked.filled.anchor, at, at >= 0, np.int64(NEVER))
    if "range" in names:
        found["range"] = found["max"] - found["min"]
    return {name: found[name] for name in names}


def reached(x: Floats, low: Ints, high: Ints, sign: float) -> Ints:
    """Where the largest (sign 1) or the smallest (sign -1) of low <= i < high stands last [m]; -1 where empty."""
    out = np.empty(len(low), dtype=np.int64)
    deque(x, low, high, sign, out)
    return out


@njit(cache=True, nogil=True)
def deque(x: Any, lo: Any, hi: Any, sign: float, out: Any) -> None:
    """out [m], see `reached`. Neither end of the windows ever falls."""
    held = np.empty(len(x) + 1, dtype=np.int64)
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
            while tail > head and sign * x[held[tail - 1]] <= value:
                tail -= 1
            held[tail] = right
            tail += 1
            right += 1
        while held[head] < lo[j]:
            head += 1
        out[j] = held[head]
