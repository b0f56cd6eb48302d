"""Positions: how many rows, the first and the last of them, when these were, and what lies between them.

The kernel reads the entries at the two ends of each range, and differences of positions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER, SECOND
from headrace.synthesis.primitives.aggregation import ANY, NUMBER, Aggregation, AggregationFamily
from headrace.synthesis.primitives.entries import LookbackRanges, take_where

_AGGREGATIONS = (
    Aggregation(name="count", description="how many are not null", inputs=ANY, empty=0.0, rows=True, cost=0.2),
    Aggregation(name="first", description="the first, even if null", inputs=ANY, result=None, reads="assertions"),
    Aggregation(
        name="last", description="the last, even if null", inputs=ANY, result=None, reads="assertions", cost=0.2
    ),
    Aggregation(
        name="first_time",
        description="when the first was seen",
        inputs=ANY,
        result="time",
        rows=True,
        finish="time_since",
    ),
    Aggregation(
        name="last_time",
        description="when the last was seen",
        inputs=ANY,
        result="time",
        rows=True,
        finish="time_since",
        cost=0.2,
    ),
    Aggregation(name="time_span", description="seconds from the first to the last", inputs=ANY, rows=True),
    Aggregation(name="change", description="the last - the first", inputs=NUMBER),
    Aggregation(name="last_change", description="the last - the one before it", inputs=NUMBER),
)


def positions(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """The aggregations `names`, each [m]."""
    return {name: _POSITIONS[name](ranges) for name in names}


def _count(ranges: LookbackRanges) -> npt.NDArray[Any]:
    return (ranges.hi - ranges.lo).astype(np.float64)


def _first(ranges: LookbackRanges) -> npt.NDArray[Any]:
    return take_where(ranges.entries.values, ranges.lo_all, ranges.hi_all > ranges.lo_all, ranges.entries.missing)


def _last(ranges: LookbackRanges) -> npt.NDArray[Any]:
    return take_where(ranges.entries.values, ranges.hi_all - 1, ranges.hi_all > ranges.lo_all, ranges.entries.missing)


def _first_time(ranges: LookbackRanges) -> npt.NDArray[Any]:
    return take_where(ranges.valid.anchor, ranges.lo, ranges.hi > ranges.lo, np.int64(NEVER))


def _last_time(ranges: LookbackRanges) -> npt.NDArray[Any]:
    return take_where(ranges.valid.anchor, ranges.hi - 1, ranges.hi > ranges.lo, np.int64(NEVER))


def _time_span(ranges: LookbackRanges) -> npt.NDArray[Any]:
    return np.where(ranges.hi > ranges.lo, (_last_time(ranges) - _first_time(ranges)) / SECOND, np.nan)


def _change(ranges: LookbackRanges) -> npt.NDArray[Any]:
    x, some = ranges.valid.x, ranges.hi > ranges.lo
    result: npt.NDArray[Any] = take_where(x, ranges.hi - 1, some, np.nan) - take_where(x, ranges.lo, some, np.nan)
    return result


def _last_change(ranges: LookbackRanges) -> npt.NDArray[Any]:
    x, two = ranges.valid.x, ranges.hi > ranges.lo + 1
    result: npt.NDArray[Any] = take_where(x, ranges.hi - 1, two, np.nan) - take_where(x, ranges.hi - 2, two, np.nan)
    return result


_POSITIONS = {
    "count": _count,
    "first": _first,
    "last": _last,
    "first_time": _first_time,
    "last_time": _last_time,
    "time_span": _time_span,
    "change": _change,
    "last_change": _last_change,
}


POSITIONS = AggregationFamily(name="positions", aggregations=_AGGREGATIONS, kernel=positions, reads_only_lookback=True)
