"""Categories: how many there are, which are frequent, and how evenly they are spread.

Entropy (Shannon, 1948) is - sum p log p over the shares p of the categories, in nats. Of equally frequent categories
the one first by name counts as the more frequent.

The kernel moves two pointers over the entries and keeps a count per category; the most frequent category is the root of
a tournament tree. An entropy is log n - (sum c log c) / n over the counts c. The sum is kept in integers (a table of
c log c, its fraction scaled by 2^40), so its bits do not depend on the ranges computed before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from headrace.synthesis.language.values import Ints
from headrace.synthesis.primitives.aggregation import CATEGORY, Aggregation, AggregationFamily
from headrace.synthesis.primitives.entries import LookbackRanges

#: How many categories `n_most_common` gives.
MOST_COMMON = 3

_AGGREGATIONS = (
    Aggregation(name="num_unique", description="how many different there are", inputs=CATEGORY, cost=1.5),
    Aggregation(name="percent_unique", description="different ones / all", inputs=CATEGORY),
    Aggregation(name="mean_count_per_unique", description="all / different ones", inputs=CATEGORY),
    Aggregation(name="mode", description="the most frequent", inputs=CATEGORY, result="categorical", cost=2.0),
    Aggregation(
        name="n_most_common",
        description=f"the {MOST_COMMON} most frequent, one an output",
        inputs=CATEGORY,
        result="categorical",
        outputs=MOST_COMMON,
    ),
    Aggregation(name="max_count", description="how often the most frequent occurs", inputs=CATEGORY, empty=0.0),
    Aggregation(name="percent_most_common", description="the share of the most frequent", inputs=CATEGORY),
    Aggregation(name="percent_last", description="the share of the last", inputs=CATEGORY),
    Aggregation(name="entropy", description="their entropy", inputs=CATEGORY),
)


_FREQUENT = frozenset({"mode", "max_count", "percent_most_common"})
_SCALE = float(2**40)


def categories(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """Those of the names that are ranges for; a category is its code, -1 where there is none; of numbers a number."""
    n = (ranges.hi - ranges.lo).astype(np.float64)
    ranks = MOST_COMMON if "n_most_common" in names else 1 if names & _FREQUENT else 0
    table = _count_log_count(int(n.max(initial=0))) if "entropy" in names else np.zeros((0, 2), dtype=np.int64)
    counted = np.zeros((ranges.size, 3))
    top = np.full((ranges.size, MOST_COMMON), -1, dtype=np.int64)
    together = np.zeros((ranges.size, 2), dtype=np.int64)
    valid = ranges.valid
    distinct(valid.codes, ranges.lo, ranges.hi, max(valid.n_codes, 1), ranks, table, counted, top, together)
    unique, most, last = counted.T
    with np.errstate(all="ignore"):
        result = {
            "num_unique": np.where(n > 0, unique, np.nan),
            "percent_unique": unique / n,
            "mean_count_per_unique": n / unique,
            "mode": valid.category(top[:, 0]),
            "n_most_common": valid.category(top),
            "max_count": most,
            "percent_most_common": most / n,
            "percent_last": last / n,
            "entropy": np.where(unique == 1, 0.0, np.log(n) - (together[:, 0] + together[:, 1] / _SCALE) / n),
        }
    if "entropy" in names:
        result["entropy"][n == 0] = np.nan
    return {name: result[name] for name in names}


def _count_log_count(most: int) -> Ints:
    """c log c for 0 <= c <= most: whole part and scaled fraction [most + 1, 2]."""
    count = np.arange(most + 1, dtype=np.float64)
    values = count * np.log(np.maximum(count, 1.0))
    whole = np.floor(values)
    return np.stack([whole, np.rint((values - whole) * _SCALE)], axis=1).astype(np.int64)


@njit(cache=True, nogil=True)
def distinct(
    codes: Any, lo: Any, hi: Any, n_categories: int, ranks: int, table: Any, counted: Any, top: Any, together: Any
) -> None:
    """counted [m, 3]: different codes, times the first of `top` occurs, times the last code occurs. top [m, ranks]: the
    most frequent codes. together [m, 2]: the sum of c log c where there is a table.

    Counts sit in a tournament tree over category ranks: a change costs log2(categories), the winner (most frequent,
    then smallest) is read at the root, so no order of arrivals and departures is slow.
    """
    width = 1
    while width < n_categories:
        width *= 2
    count = np.zeros(width, dtype=np.int64)
    winner = np.zeros(2 * width, dtype=np.int64)
    for i in range(width):
        winner[width + i] = i
    for i in range(width - 1, 0, -1):
        winner[i] = winner[2 * i]
    left = right = unique = whole = part = 0
    for j in range(len(lo)):
        if hi[j] <= lo[j]:
            continue
        for side in range(2):
            begin, end, by = (left, min(right, lo[j]), -1) if side == 0 else (max(right, lo[j]), hi[j], 1)
            for i in range(begin, end):
                code = codes[i]
                if len(table):
                    whole += table[count[code] + by, 0] - table[count[code], 0]
                    part += table[count[code] + by, 1] - table[count[code], 1]
                count[code] += by
                if count[code] == (0 if by < 0 else 1):
                    unique += by
                if ranks > 0:
                    update_winner(count, winner, code, width)
        left, right = lo[j], hi[j]
        counted[j, 0] = unique
        counted[j, 1] = count[winner[1]]
        counted[j, 2] = count[codes[right - 1]]
        if ranks > 0:
            top[j, 0] = winner[1]
        if ranks > 1:
            _runners_up(count, winner, width, ranks, top[j])
        if len(table):
            together[j, 0], together[j, 1] = whole, part


@njit(cache=True, nogil=True)
def update_winner(count: Any, winner: Any, code: int, width: int) -> None:
    """Update a tournament tree over categories after the count of one of them has changed.

    Args:
        count: of each category.
        winner: winning category of each node [2 * width]; node 1 is the root, node width + c the leaf of category c.
        code: the category.
        width: how many leaves the tree has, a power of two.
    """
    at = (width + code) // 2
    while at >= 1:
        a, b = winner[2 * at], winner[2 * at + 1]
        winner[at] = b if count[b] > count[a] else a
        at //= 2


@njit(cache=True, nogil=True)
def _runners_up(count: Any, winner: Any, width: int, ranks: int, top: Any) -> None:
    """top [ranks]: the winner of the tournament, then the winner without it, and so on."""
    saved = np.zeros(ranks, dtype=np.int64)
    result = 0
    while result < ranks and count[winner[1]] > 0:
        code = winner[1]
        top[result], saved[result] = code, count[code]
        result += 1
        count[code] = 0
        update_winner(count, winner, code, width)
    for i in range(result):
        count[top[i]] = saved[i]
        update_winner(count, winner, top[i], width)


CATEGORIES = AggregationFamily(
    name="categories", aggregations=_AGGREGATIONS, kernel=categories, reads_only_lookback=True
)
