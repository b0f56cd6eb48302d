"""Categories: two pointers over counts; those who are frequent are read off a tournament tree.

An entropy is log n - (sum c log c) / n over the counts c. The sum is kept in whole numbers (a table of c log c, its
fraction scaled by 2^40), so it is the same whatever windows came before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from headrace.synthesis.language.values import Ints
from headrace.synthesis.primitives.aggregations.categories import MOST_COMMON
from headrace.synthesis.primitives.entries import Asked

_FREQUENT = frozenset({"mode", "max_count", "percent_most_common"})
_SCALE = float(2**40)


def categories(asked: Asked, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """Those of the names that are asked for; a category is its code, -1 where there is none; of numbers a number."""
    n = (asked.high - asked.low).astype(np.float64)
    ranks = MOST_COMMON if "n_most_common" in names else 1 if names & _FREQUENT else 0
    table = _count_log_count(int(n.max(initial=0))) if "entropy" in names else np.zeros((0, 2), dtype=np.int64)
    counted = np.zeros((asked.size, 3))
    top = np.full((asked.size, MOST_COMMON), -1, dtype=np.int64)
    together = np.zeros((asked.size, 2), dtype=np.int64)
    filled = asked.filled
    distinct(filled.codes, asked.low, asked.high, max(filled.kinds, 1), ranks, table, counted, top, together)
    unique, most, last = counted.T
    with np.errstate(all="ignore"):
        found = {
            "num_unique": np.where(n > 0, unique, np.nan),
            "percent_unique": unique / n,
            "mean_count_per_unique": n / unique,
            "mode": filled.category(top[:, 0]),
            "n_most_common": filled.category(top),
            "max_count": most,
            "percent_most_common": most / n,
            "percent_last": last / n,
            "entropy": np.where(unique == 1, 0.0, np.log(n) - (together[:, 0] + together[:, 1] / _SCALE) / n),
        }
    if "entropy" in names:
        found["entropy"][n == 0] = np.nan
    return {name: found[name] for name in names}


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
                    _replay(count, winner, code, width)
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
def _replay(count: Any, winner: Any, code: int, width: int) -> None:
    at = (width + code) // 2
    while at >= 1:
        a, b = winner[2 * at], winner[2 * at + 1]
        winner[at] = b if count[b] > count[a] else a
        at //= 2


@njit(cache=True, nogil=True)
def _runners_up(count: Any, winner: Any, width: int, ranks: int, top: Any) -> None:
    """The winners of the tournament without those before them."""
    held = np.zeros(ranks, dtype=np.int64)
    found = 0
    while found < ranks and count[winner[1]] > 0:
        code = winner[1]
        top[found], held[found] = code, count[code]
        found += 1
        count[code] = 0
        _replay(count, winner, code, width)
    for i in range(found):
        count[top[i]] = held[i]
        _replay(count, winner, top[i], width)
