"""Truth values: counts, shares and streaks of true and false. Streaks skip nulls.

The kernel differences running counts, and looks up where a value last stood. The longest streak of a range is the part
of its first streak that lies in the range, or the longest streak that starts later: a sliding maximum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.aggregation import TRUTH, Aggregation, AggregationFamily
from headrace.synthesis.primitives.aggregations.extremes import reached
from headrace.synthesis.primitives.entries import Entries, LookbackRanges, take_where

_AGGREGATIONS = (
    Aggregation(
        name="percent_true",
        description="the share of true, nulls counted as false",
        inputs=TRUTH,
        reads="assertions",
        cost=0.3,
    ),
    Aggregation(name="num_true", description="how many are true", inputs=TRUTH, empty=0.0),
    Aggregation(name="any", description="whether one is true", inputs=TRUTH, result="boolean"),
    Aggregation(name="all", description="whether none is false", inputs=TRUTH, result="boolean"),
    Aggregation(name="longest_true", description="the longest streak of true", inputs=TRUTH, empty=0.0),
    Aggregation(name="longest_false", description="the longest streak of false", inputs=TRUTH, empty=0.0),
    Aggregation(
        name="num_true_since_last_false",
        description="the streak of true that ends at the last",
        inputs=TRUTH,
        empty=0.0,
    ),
    Aggregation(
        name="num_false_since_last_true",
        description="the streak of false that ends at the last",
        inputs=TRUTH,
        empty=0.0,
    ),
    Aggregation(
        name="last_true_time", description="when one was last true", inputs=TRUTH, result="time", finish="time_since"
    ),
    Aggregation(
        name="last_false_time", description="when one was last false", inputs=TRUTH, result="time", finish="time_since"
    ),
)


_VALUES = {"true": 1.0, "false": 0.0}


def truths(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """The aggregations `names`, each [m]."""
    n = ranges.hi - ranges.lo
    true = _true_before(ranges.entries)
    number = (true[ranges.hi_all] - true[ranges.lo_all]).astype(np.float64)
    with np.errstate(all="ignore"):
        result: dict[str, npt.NDArray[Any]] = {
            "percent_true": number / (ranges.hi_all - ranges.lo_all),
            "num_true": number,
            "any": np.where(n > 0, (number > 0).astype(np.float64), np.nan),
            "all": np.where(n > 0, (number == n).astype(np.float64), np.nan),
        }
    for word, value in _VALUES.items():
        if f"longest_{word}" in names:
            result[f"longest_{word}"] = _longest(ranges, value)
        if f"last_{word}_time" in names:
            at = take_where(_last_of(ranges.valid, value), ranges.hi - 1, n > 0, np.int64(-1))
            result[f"last_{word}_time"] = take_where(ranges.valid.anchor, at, at >= ranges.lo, np.int64(NEVER))
    for word, other in (("true", "false"), ("false", "true")):
        if (name := f"num_{word}_since_last_{other}") in names:
            result[name] = _ending(ranges, _VALUES[word])
    return {name: result[name] for name in names}


def _true_before(entries: Entries) -> Ints:
    """How many are true before each position [n + 1]."""
    return entries.cached("true_before", lambda: np.concatenate([[0], np.cumsum(entries.x == 1.0)]))


def _last_of(valid: Entries, value: float) -> Ints:
    """Where the last of these values stands at or before each entry [n], in any key; -1 before the first."""

    def compute() -> Ints:
        at = np.where(valid.x == value, np.arange(len(valid.key)), -1)
        return np.asarray(np.maximum.accumulate(at), dtype=np.int64)

    return valid.cached(f"last_of_{value:g}", compute)


def _streak_start(valid: Entries) -> Ints:
    """Where the streak of equal values that each entry is in begins [n]."""

    def compute() -> Ints:
        at = np.arange(len(valid.key))
        if len(at):
            at[1:][(valid.key[1:] == valid.key[:-1]) & (valid.x[1:] == valid.x[:-1])] = 0
        return np.asarray(np.maximum.accumulate(at), dtype=np.int64)

    return valid.cached("streak_start", compute)


def _streak_end(valid: Entries) -> Ints:
    """Where the streak that each entry is in has ended [n]."""

    def compute() -> Ints:
        start = _streak_start(valid)
        edges = np.flatnonzero(np.r_[start[1:] != start[:-1], np.ones(min(len(start), 1), dtype=np.bool_)]) + 1
        result: Ints = np.repeat(edges, np.diff(edges, prepend=0))
        return result

    return valid.cached("streak_end", compute)


def _ending(ranges: LookbackRanges, value: float) -> Floats:
    """The length of the streak of a value at the end of each range."""
    valid, low, high = ranges.valid, ranges.lo, ranges.hi
    some = high > low
    begin = np.maximum(take_where(_streak_start(valid), high - 1, some, np.int64(0)), low)
    return np.where(take_where(valid.x, high - 1, some, np.nan) == value, high - begin, 0).astype(np.float64)


def _longest(ranges: LookbackRanges, value: float) -> Floats:
    valid, low, high = ranges.valid, ranges.lo, ranges.hi
    some = high > low
    after = np.where(some, np.minimum(take_where(_streak_end(valid), low, some, np.int64(0)), high), high)
    first = np.where(take_where(valid.x, low, some, np.nan) == value, after - low, 0)

    def lengths() -> Floats:
        length = np.arange(1, len(valid.key) + 1) - _streak_start(valid)
        return np.where(valid.x == value, length, 0).astype(np.float64)

    length = valid.cached(f"lengths_{value:g}", lengths)
    at = reached(length, after, high, 1.0)
    longest: Floats = np.maximum(first, take_where(length, at, at >= 0, np.float64(0.0)))
    return longest


TRUTHS = AggregationFamily(name="truths", aggregations=_AGGREGATIONS, kernel=truths, reads_only_lookback=True)
