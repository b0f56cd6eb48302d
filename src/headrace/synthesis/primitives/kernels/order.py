"""Order statistics: a Fenwick tree (Fenwick, 1994) over the ranks of a key's values, entered and left in one sweep.

A value enters and leaves a window once, at log(values of its key) each; so does reading a rank, or a count below a bar.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.language.values import Floats
from headrace.synthesis.primitives.aggregations.order import OUTSIDE, QUANTILES
from headrace.synthesis.primitives.entries import Asked, Entries, gather
from headrace.synthesis.primitives.kernels.moments import window_deviations, window_sums

_QUARTILES = (0.25, 0.75)


def quantiles(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """Quantiles and their ranges."""
    levels = {QUANTILES[name] for name in names if name in QUANTILES}
    if "interquartile_range" in names:
        levels.update(_QUARTILES)
    at = sorted(levels)
    out = np.full((asked.size, len(at)), np.nan)
    values, place, start, end = _ranked(asked.filled)
    select(values, place, start, end, asked.low, asked.high, np.array(at), out)
    found = {name: out[:, at.index(level)] for name, level in QUANTILES.items() if level in levels}
    if "interquartile_range" in names:
        found["interquartile_range"] = out[:, at.index(_QUARTILES[1])] - out[:, at.index(_QUARTILES[0])]
    return {name: found[name] for name in names}


def beyond(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """How many are beyond a bar that the window's own values set."""
    n = asked.high - asked.low
    found: dict[str, Floats] = {}
    if names & {"count_above_mean", "count_below_mean"}:
        mean = window_sums(asked.filled.x, asked.low, asked.middle, asked.high)[1]
        below, above = _counts(asked, mean, mean)
        found |= {"count_above_mean": above, "count_below_mean": below}
    if names & OUTSIDE.keys():
        _, mean, m2, _, _ = window_deviations(asked.filled.x, asked.low, asked.middle, asked.high).T
        with np.errstate(all="ignore"):
            std = np.where(n >= 2, np.sqrt(m2 / (n - 1)), np.nan)
        for name in names & OUTSIDE.keys():
            below, above = _counts(asked, mean - OUTSIDE[name] * std, mean + OUTSIDE[name] * std)
            found[name] = below + above
    if "last_rank" in names:
        last = gather(asked.filled.x, asked.high - 1, n > 0, np.nan)
        with np.errstate(all="ignore"):
            found["last_rank"] = np.where(n >= 2, _counts(asked, last, last)[0] / (n - 1), np.nan)
    return {name: found[name] for name in names}


def _counts(asked: Asked, low_bar: Floats, high_bar: Floats) -> tuple[Floats, Floats]:
    """How many of each window are below its low bar, and above its high bar; 0 where a bar is NaN."""
    out = np.zeros((2, asked.size))
    values, place, start, end = _ranked(asked.filled)
    count_beyond(values, place, start, end, asked.low, asked.high, low_bar, high_bar, out)
    return out[0], out[1]


def _ranked(filled: Entries) -> tuple[Any, ...]:
    """Sorted values of each key [n], each entry's place in them [n], start and end of its key's block [n]."""

    def make() -> tuple[Any, ...]:
        start = filled.start
        place, values = np.empty(len(start), dtype=np.int64), np.empty(len(start))
        end = np.empty(len(start), dtype=np.int64)
        rank(filled.x, np.argsort(filled.x, kind="stable"), start, values, place, end)
        return values, place, start, end

    return filled.once("ranked", make)


@njit(cache=True, nogil=True)
def rank(x: Any, by_value: Any, start: Any, values: Any, place: Any, end: Any) -> None:
    """values [n]: each key's values in order, in its own block; place, end [n] of each entry."""
    taken = np.zeros(len(x), dtype=np.int64)
    for i in by_value:
        at = start[i] + taken[start[i]]
        taken[start[i]] += 1
        values[at] = x[i]
        place[i] = at
    for i in range(len(x)):
        end[i] = start[i] + taken[start[i]]


@njit(cache=True, nogil=True)
def _enter(tree: Any, at: int, size: int, by: int) -> None:
    at += 1
    while at <= size:
        tree[at] += by
        at += at & -at


@njit(cache=True, nogil=True)
def _before(tree: Any, at: int) -> int:
    """How many are in the first `at` places."""
    total = 0
    while at > 0:
        total += tree[at]
        at -= at & -at
    return total


@njit(cache=True, nogil=True)
def _find(tree: Any, rank: int, size: int) -> int:
    """The place of the value with that many before it."""
    at, step = 0, 1
    while step * 2 <= size:
        step *= 2
    while step > 0:
        if at + step <= size and tree[at + step] <= rank:
            at += step
            rank -= tree[at]
        step //= 2
    return at


@njit(cache=True, nogil=True)
def _move(tree: Any, place: Any, start: Any, end: Any, left: int, right: int, lo: int, hi: int) -> None:
    """From the window left <= i < right to lo <= i < hi; a tree holds one key's places."""
    size = end[left] - start[left] if left < right else 0
    for i in range(left, min(right, lo)):
        _enter(tree, place[i] - start[i], size, -1)
    size = end[lo] - start[lo]
    for i in range(max(right, lo), hi):
        _enter(tree, place[i] - start[i], size, 1)


@njit(cache=True, nogil=True)
def select(values: Any, place: Any, start: Any, end: Any, lo: Any, hi: Any, levels: Any, out: Any) -> None:
    """out [m, levels]: the quantiles of each window."""
    tree = np.zeros(_widest(start, end) + 1, dtype=np.int64)
    left = right = 0
    for j in range(len(lo)):
        n = hi[j] - lo[j]
        if n <= 0:
            continue
        _move(tree, place, start, end, left, right, lo[j], hi[j])
        left, right = lo[j], hi[j]
        first, size = start[left], end[left] - start[left]
        for q in range(len(levels)):
            at = (n - 1) * levels[q]
            low = int(at)
            below = values[first + _find(tree, low, size)]
            out[j, q] = below
            if at > low:
                out[j, q] += (values[first + _find(tree, low + 1, size)] - below) * (at - low)


@njit(cache=True, nogil=True)
def _widest(start: Any, end: Any) -> int:
    widest = 0
    for i in range(len(start)):
        widest = max(widest, end[i] - start[i])
    return widest


@njit(cache=True, nogil=True)
def count_beyond(
    values: Any, place: Any, start: Any, end: Any, lo: Any, hi: Any, low_bar: Any, high_bar: Any, out: Any
) -> None:
    """out [2, m]: how many of each window are below its low bar, and above its high bar."""
    tree = np.zeros(_widest(start, end) + 1, dtype=np.int64)
    left = right = 0
    for j in range(len(lo)):
        n = hi[j] - lo[j]
        if n <= 0:
            continue
        _move(tree, place, start, end, left, right, lo[j], hi[j])
        left, right = lo[j], hi[j]
        if np.isnan(low_bar[j]) or np.isnan(high_bar[j]):
            continue
        first, last = start[left], end[left]
        block = values[first:last]
        out[0, j] = _before(tree, np.searchsorted(block, low_bar[j]))
        out[1, j] = n - _before(tree, np.searchsorted(block, high_bar[j], "right"))
