"""Days: on how many days, weeks or months (in UTC) something was seen, and what share of it at which time.

The kernel counts changes of the calendar field between neighbouring entries; shares are differences of running counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headrace.core.clock import DAY, HOUR
from headrace.synthesis.language.values import Flags, Floats, Ints
from headrace.synthesis.primitives.aggregation import ANY, Aggregation, AggregationFamily
from headrace.synthesis.primitives.entries import LookbackRanges

_AGGREGATIONS = (
    Aggregation(name="num_days", description="on how many days one was seen", inputs=ANY, empty=0.0, rows=True),
    Aggregation(name="num_weeks", description="in how many weeks one was seen", inputs=ANY, empty=0.0, rows=True),
    Aggregation(
        name="num_months", description="in how many calendar months one was seen", inputs=ANY, empty=0.0, rows=True
    ),
    Aggregation(name="percent_weekend", description="the share seen on a weekend", inputs=ANY, rows=True),
    Aggregation(name="percent_night", description="the share seen from 22 to 6 o'clock", inputs=ANY, rows=True),
)


_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0

_PARTS: dict[str, Callable[[Ints], Ints]] = {
    "num_days": lambda at: at // DAY,
    "num_weeks": lambda at: (at // DAY + _EPOCH_WEEKDAY) // 7,
    "num_months": lambda at: at.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64),
}
_SHARES: dict[str, Callable[[Ints], Flags]] = {
    "percent_weekend": lambda at: np.asarray((at // DAY + _EPOCH_WEEKDAY) % 7 >= 5),
    "percent_night": lambda at: np.asarray((at % DAY < 6 * HOUR) | (at % DAY >= 22 * HOUR)),
}


def days(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """Those of the names that are ranges for. Anchors never fall within a key."""
    return {name: _different(ranges, name) if name in _PARTS else _share(ranges, name) for name in names}


def _different(ranges: LookbackRanges, name: str) -> Floats:
    def compute() -> Ints:
        part = _PARTS[name](ranges.valid.anchor)
        return np.concatenate([[0, 0], np.cumsum(part[1:] != part[:-1])])[: len(part) + 1]

    before = ranges.valid.cached(name, compute)
    some = ranges.hi > ranges.lo
    steps = before[ranges.hi] - before[np.minimum(ranges.lo + 1, ranges.hi)]
    return np.where(some, steps + 1, 0).astype(np.float64)


def _share(ranges: LookbackRanges, name: str) -> Floats:
    before = ranges.valid.cached(
        name, lambda: np.concatenate([[0], np.cumsum(_SHARES[name](ranges.valid.anchor), dtype=np.int64)])
    )
    with np.errstate(all="ignore"):
        result: Floats = (before[ranges.hi] - before[ranges.lo]) / (ranges.hi - ranges.lo)
    return result


DAYS = AggregationFamily(name="days", aggregations=_AGGREGATIONS, kernel=days, reads_only_lookback=True)
