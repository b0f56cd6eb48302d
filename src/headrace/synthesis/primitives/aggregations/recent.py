"""The last rows of a lookback: earlier ones by their place from the end, and aggregations of the last three or ten.

With no lookback, a window of rows: the mean of the last ten values, whenever they were.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.language.definitions import Kind
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.aggregation import ANY, Aggregation, AggregationFamily
from headrace.synthesis.primitives.aggregations.extremes import reached
from headrace.synthesis.primitives.aggregations.moments import range_deviations
from headrace.synthesis.primitives.aggregations.sums import range_sums
from headrace.synthesis.primitives.entries import LookbackRanges, take_where

_ORDINALS = {2: "second", 3: "third"}
_WINDOWS = (3, 10)
_NUMBERS: tuple[Kind, ...] = ("numeric", "boolean")


def _from_the_end(place: int) -> tuple[Aggregation, Aggregation]:
    ordinal = _ORDINALS[place]
    return (
        Aggregation(
            name=f"last_{place}",
            description=f"the {ordinal} from the end, even if null",
            inputs=ANY,
            result=None,
            reads="assertions",
        ),
        Aggregation(
            name=f"last_{place}_time",
            description=f"when the {ordinal} from the end was seen",
            inputs=ANY,
            result="time",
            rows=True,
            finish="time_since",
        ),
    )


def _of_last(rows: int) -> tuple[Aggregation, ...]:
    return (
        Aggregation(name=f"mean_of_last_{rows}", description=f"the mean of the last {rows}", inputs=_NUMBERS),
        Aggregation(
            name=f"std_of_last_{rows}",
            description=f"the sample standard deviation of the last {rows} (two or more)",
            inputs=_NUMBERS,
        ),
        Aggregation(name=f"min_of_last_{rows}", description=f"the smallest of the last {rows}", inputs=_NUMBERS),
        Aggregation(name=f"max_of_last_{rows}", description=f"the largest of the last {rows}", inputs=_NUMBERS),
    )


def recent(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """The aggregations `names`, each [m]."""
    result: dict[str, npt.NDArray[Any]] = {}
    for place in _ORDINALS:
        at = ranges.hi_all - place
        result[f"last_{place}"] = take_where(ranges.entries.values, at, at >= ranges.lo_all, ranges.entries.missing)
        at = ranges.hi - place
        result[f"last_{place}_time"] = take_where(ranges.valid.anchor, at, at >= ranges.lo, np.int64(NEVER))
    for rows in _WINDOWS:
        if any(name.endswith(f"_of_last_{rows}") for name in names):
            result |= _window(ranges.valid.x, np.maximum(ranges.lo, ranges.hi - rows), ranges.hi, rows)
    return {name: result[name] for name in names}


def _window(x: Floats, lo: Ints, hi: Ints, rows: int) -> dict[str, Floats]:
    """The aggregations of the numbers x [n] at lo <= i < hi [m]."""
    squares = range_deviations(x, lo, lo, hi)[:, 2]
    with np.errstate(all="ignore"):
        spread = np.where(hi - lo >= 2, np.sqrt(squares / (hi - lo - 1)), np.nan)
    least, largest = (reached(x, lo, hi, sign) for sign in (-1.0, 1.0))
    return {
        f"mean_of_last_{rows}": range_sums(x, lo, lo, hi)[1],
        f"std_of_last_{rows}": spread,
        f"min_of_last_{rows}": take_where(x, least, least >= 0, np.nan),
        f"max_of_last_{rows}": take_where(x, largest, largest >= 0, np.nan),
    }


RECENT = AggregationFamily(
    name="recent",
    aggregations=(
        *(item for place in _ORDINALS for item in _from_the_end(place)),
        *(item for rows in _WINDOWS for item in _of_last(rows)),
    ),
    kernel=recent,
    reads_only_lookback=True,
)
