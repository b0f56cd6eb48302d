"""Truths: running counts, positions of the last true and false, and streaks.

The longest streak of a window is the part of its first streak that lies in it, or the longest that starts later: a
sliding maximum of the streak that ends at each value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.entries import Asked, Entries, gather
from headrace.synthesis.primitives.kernels.extremes import reached

_WANTED = {"true": 1.0, "false": 0.0}


def truths(asked: Asked, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """Those of the names that are asked for."""
    n = asked.high - asked.low
    true = _true_before(asked.entries)
    number = (true[asked.hi] - true[asked.lo]).astype(np.float64)
    with np.errstate(all="ignore"):
        found: dict[str, npt.NDArray[Any]] = {
            "percent_true": number / (asked.hi - asked.lo),
            "num_true": number,
            "any": np.where(n > 0, (number > 0).astype(np.float64), np.nan),
            "all": np.where(n > 0, (number == n).astype(np.float64), np.nan),
        }
    for word, wanted in _WANTED.items():
        if f"longest_{word}" in names:
            found[f"longest_{word}"] = _longest(asked, wanted)
        if f"last_{word}_time" in names:
            at = gather(_last_of(asked.filled, wanted), asked.high - 1, n > 0, np.int64(-1))
            found[f"last_{word}_time"] = gather(asked.filled.anchor, at, at >= asked.low, np.int64(NEVER))
    for word, other in (("true", "false"), ("false", "true")):
        if (name := f"num_{word}_since_last_{other}") in names:
            found[name] = _ending(asked, _WANTED[word])
    return {name: found[name] for name in names}


def _true_before(entries: Entries) -> Ints:
    """How many are true before each position [n + 1]."""
    return entries.once("true_before", lambda: np.concatenate([[0], np.cumsum(entries.x == 1.0)]))


def _last_of(filled: Entries, wanted: float) -> Ints:
    """Where the last of these values stands at or before each entry [n], in any key; -1 before the first."""

    def make() -> Ints:
        at = np.where(filled.x == wanted, np.arange(len(filled.key)), -1)
        return np.asarray(np.maximum.accumulate(at), dtype=np.int64)

    return filled.once(f"last_of_{wanted:g}", make)


def _streak_start(filled: Entries) -> Ints:
    """Where the streak of equal values that each entry is in begins [n]."""

    def make() -> Ints:
        at = np.arange(len(filled.key))
        if len(at):
            at[1:][(filled.key[1:] == filled.key[:-1]) & (filled.x[1:] == filled.x[:-1])] = 0
        return np.asarray(np.maximum.accumulate(at), dtype=np.int64)

    return filled.once("streak_start", make)


def _streak_end(filled: Entries) -> Ints:
    """Where the streak that each entry is in has ended [n]."""

    def make() -> Ints:
        start = _streak_start(filled)
        edges = np.flatnonzero(np.r_[start[1:] != start[:-1], np.ones(min(len(start), 1), dtype=np.bool_)]) + 1
        result: Ints = np.repeat(edges, np.diff(edges, prepend=0))
        return result

    return filled.once("streak_end", make)


def _ending(asked: Asked, wanted: float) -> Floats:
    """The streak of a value that ends a window."""
    filled, low, high = asked.filled, asked.low, asked.high
    some = high > low
    begin = np.maximum(gather(_streak_start(filled), high - 1, some, np.int64(0)), low)
    return np.where(gather(filled.x, high - 1, some, np.nan) == wanted, high - begin, 0).astype(np.float64)


def _longest(asked: Asked, wanted: float) -> Floats:
    filled, low, high = asked.filled, asked.low, asked.high
    some = high > low
    after = np.where(some, np.minimum(gather(_streak_end(filled), low, some, np.int64(0)), high), high)
    first = np.where(gather(filled.x, low, some, np.nan) == wanted, after - low, 0)

    def lengths() -> Floats:
        length = np.arange(1, len(filled.key) + 1) - _streak_start(filled)
        return np.where(filled.x == wanted, length, 0).astype(np.float64)

    length = filled.once(f"lengths_{wanted:g}", lengths)
    at = reached(length, after, high, 1.0)
    longest: Floats = np.maximum(first, gather(length, at, at >= 0, np.float64(0.0)))
    return longest
