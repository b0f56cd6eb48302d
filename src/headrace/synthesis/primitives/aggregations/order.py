"""Order statistics: quantiles, and how many values lie beyond a threshold computed from the values themselves.

A quantile q of n sorted values is read at (n - 1) q, linearly between neighbours (Hyndman and Fan, 1996, type 7).

The kernel keeps a Fenwick tree (Fenwick, 1994) over the ranks of a key's values. Each value enters and leaves the tree
once; that, reading a rank and counting below a threshold each take log(values of the key).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.language.values import Floats
from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation, AggregationFamily
from headrace.synthesis.primitives.aggregations.moments import range_deviations
from headrace.synthesis.primitives.aggregations.sums import range_sums
from headrace.synthesis.primitives.entries import Entries, LookbackRanges, take_where

#: Primitive -> quantile.
QUANTILES = {
    "median": 0.5,
    "quantile_5": 0.05,
    "quantile_10": 0.1,
    "quantile_25": 0.25,
    "quantile_75": 0.75,
    "quantile_90": 0.9,
    "quantile_95": 0.95,
}
#: Primitive -> standard deviations.
OUTSIDE = {"count_outside_1_std": 1.0, "count_outside_2_std": 2.0, "count_outside_3_std": 3.0}

_AGGREGATIONS = (
    *(
        Aggregation(
            name=name, description="their median" if name == "median" else f"their {quantile:g} quantile", inputs=NUMBER
        )
        for name, quantile in QUANTILES.items()
    ),
    Aggregation(name="interquartile_range", description="their .75 quantile - their .25 quantile", inputs=NUMBER),
    Aggregation(name="count_above_mean", description="how many are above their mean", inputs=NUMBER, empty=0.0),
    Aggregation(name="count_below_mean", description="how many are below their mean", inputs=NUMBER, empty=0.0),
    *(
        Aggregation(
            name=name,
            description=f"how many are more than {deviations:g} standard deviations from their mean",
            inputs=NUMBER,
            empty=0.0,
        )
        for name, deviations in OUTSIDE.items()
    ),
    Aggregation(name="last_rank", description="the share of the others that are smaller than the last", inputs=NUMBER),
)


_QUARTILES = (0.25, 0.75)


def order(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """The aggregations `names`, each [m]."""
    by_quantile = names & {*QUANTILES, "interquartile_range"}
    result = _quantiles(ranges, by_quantile) if by_quantile else {}
    return result | _beyond(ranges, names - by_quantile)


def _quantiles(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """Quantiles, and the range between two of them."""
    levels = {QUANTILES[name] for name in names if name in QUANTILES}
    if "interquartile_range" in names:
        levels.update(_QUARTILES)
    at = sorted(levels)
    out = np.full((ranges.size, len(at)), np.nan)
    values, place, start, end = _ranked(ranges.valid)
    select(values, place, start, end, ranges.lo, ranges.hi, np.array(at), out)
    result = {name: out[:, at.index(level)] for name, level in QUANTILES.items() if level in levels}
    if "interquartile_range" in names:
        result["interquartile_range"] = out[:, at.index(_QUARTILES[1])] - out[:, at.index(_QUARTILES[0])]
    return {name: result[name] for name in names}


def _beyond(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """How many values lie beyond a threshold computed from the values of the range."""
    n = ranges.hi - ranges.lo
    result: dict[str, Floats] = {}
    if names & {"count_above_mean", "count_below_mean"}:
        mean = range_sums(ranges.valid.x, ranges.lo, ranges.mid, ranges.hi)[1]
        below, above = _counts(ranges, mean, mean)
        result |= {"count_above_mean": above, "count_below_mean": below}
    if names & OUTSIDE.keys():
        _, mean, m2, _, _ = range_deviations(ranges.valid.x, ranges.lo, ranges.mid, ranges.hi).T
        with np.errstate(all="ignore"):
            std = np.where(n >= 2, np.sqrt(m2 / (n - 1)), np.nan)
        for name in names & OUTSIDE.keys():
            below, above = _counts(ranges, mean - OUTSIDE[name] * std, mean + OUTSIDE[name] * std)
            result[name] = below + above
    if "last_rank" in names:
        last = take_where(ranges.valid.x, ranges.hi - 1, n > 0, np.nan)
        with np.errstate(all="ignore"):
            result["last_rank"] = np.where(n >= 2, _counts(ranges, last, last)[0] / (n - 1), np.nan)
    return {name: result[name] for name in names}


def _counts(ranges: LookbackRanges, low_threshold: Floats, high_threshold: Floats) -> tuple[Floats, Floats]:
    """How many values lie below the low and above the high threshold of each range [m]; 0 where a threshold is NaN."""
    out = np.zeros((2, ranges.size))
    values, place, start, end = _ranked(ranges.valid)
    count_beyond(values, place, start, end, ranges.lo, ranges.hi, low_threshold, high_threshold, out)
    return out[0], out[1]


def _ranked(valid: Entries) -> tuple[Any, ...]:
    """Sorted values of each key [n], each entry's place in them [n], start and end of its key's block [n]."""

    def compute() -> tuple[Any, ...]:
        start = valid.start
        place, values = np.empty(len(start), dtype=np.int64), np.empty(len(start))
        end = np.empty(len(start), dtype=np.int64)
        rank(valid.x, np.argsort(valid.x, kind="stable"), start, values, place, end)
        return values, place, start, end

    return valid.cached("ranked", compute)


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
    """Move the tree from the range left <= i < right to lo <= i < hi; it holds the ranks of one key's values."""
    size = end[left] - start[left] if left < right else 0
    for i in range(left, min(right, lo)):
        _enter(tree, place[i] - start[i], size, -1)
    size = end[lo] - start[lo]
    for i in range(max(right, lo), hi):
        _enter(tree, place[i] - start[i], size, 1)


@njit(cache=True, nogil=True)
def select(values: Any, place: Any, start: Any, end: Any, lo: Any, hi: Any, levels: Any, out: Any) -> None:
    """out [m, levels]: the quantiles of each range."""
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
    values: Any, place: Any, start: Any, end: Any, lo: Any, hi: Any, low_threshold: Any, high_threshold: Any, out: Any
) -> None:
    """out [2, m]: how many values lie below the low and above the high threshold of each range."""
    tree = np.zeros(_widest(start, end) + 1, dtype=np.int64)
    left = right = 0
    for j in range(len(lo)):
        n = hi[j] - lo[j]
        if n <= 0:
            continue
        _move(tree, place, start, end, left, right, lo[j], hi[j])
        left, right = lo[j], hi[j]
        if np.isnan(low_threshold[j]) or np.isnan(high_threshold[j]):
            continue
        first, last = start[left], end[left]
        block = values[first:last]
        out[0, j] = _before(tree, np.searchsorted(block, low_threshold[j]))
        out[1, j] = n - _before(tree, np.searchsorted(block, high_threshold[j], "right"))


ORDER = AggregationFamily(name="order", aggregations=_AGGREGATIONS, kernel=order, reads_only_lookback=True)
