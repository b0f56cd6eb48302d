"""Gaps: the moments and extremes of the seconds between neighbouring entries."""

from __future__ import annotations

import numpy as np

from headrace.core.clock import SECOND
from headrace.synthesis.language.values import Floats
from headrace.synthesis.primitives.entries import Asked, Entries, gather
from headrace.synthesis.primitives.kernels.extremes import reached
from headrace.synthesis.primitives.kernels.moments import window_deviations


def gaps(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """Those of the names that are asked for."""
    between = _between(asked.filled)
    low, middle, high = asked.steps  # a window of n entries has n - 1 gaps
    n, some = high - low, high > low
    found: dict[str, Floats] = {}
    if "mean_time_between" in names:
        anchor = asked.filled.anchor
        first, last = (gather(anchor, at, some, np.int64(0)) for at in (asked.low, high - 1))
        with np.errstate(all="ignore"):
            found["mean_time_between"] = np.where(some, (last - first) / SECOND / n, np.nan)
    if "std_time_between" in names:
        with np.errstate(all="ignore"):
            squares = window_deviations(between.x, low, middle, high)[:, 2]
            found["std_time_between"] = np.where(n >= 2, np.sqrt(squares / (n - 1)), np.nan)
    for side, sign in (("min", -1.0), ("max", 1.0)):
        if f"{side}_time_between" in names:
            at = reached(between.x, low, high, sign)
            found[f"{side}_time_between"] = gather(between.x, at, at >= 0, np.nan)
    if "last_time_between" in names:
        found["last_time_between"] = gather(between.x, high - 1, some, np.nan)
    return {name: found[name] for name in names}


def _between(filled: Entries) -> Entries:
    """The seconds since the entry before, as entries; 0 at a key's first."""

    def make() -> Entries:
        seconds = np.zeros(len(filled.key))
        seconds[1:] = np.where(filled.key[1:] == filled.key[:-1], np.diff(filled.anchor) / SECOND, 0.0)
        return Entries(key=filled.key, anchor=filled.anchor, number=seconds)

    return filled.once("between", make)
