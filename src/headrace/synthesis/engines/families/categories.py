"""Number of distinct categories and the most frequent one: two pointers over counts in a tournament tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from headrace.synthesis.engines.families.entries import Asked


def categories(asked: Asked, names: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
    """Those of the names that are asked for; a mode is a code, -1 where there is none."""
    number = np.full(asked.size, np.nan)
    mode = np.full(asked.size, -1, dtype=np.int64)
    distinct(asked.filled.codes, asked.low, asked.high, max(asked.filled.categories, 1), number, mode)
    found = {"num_unique": number, "mode": mode}
    return {name: found[name] for name in names}


@njit(cache=True, nogil=True)
def distinct(codes: Any, lo: Any, hi: Any, n_categories: int, number: Any, mode: Any) -> None:
    """number [m], mode [m] (code, -1 where empty) of the codes in each window, by two pointers.

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
    left = right = 0
    unique = 0
    for j in range(len(lo)):
        if hi[j] <= lo[j]:
            mode[j] = -1
            continue
        while left < right and left < lo[j]:
            code = codes[left]
            count[code] -= 1
            unique -= 1 if count[code] == 0 else 0
            _replay(count, winner, code, width)
            left += 1
        if left < lo[j]:
            left = right = lo[j]
        while right < hi[j]:
            code = codes[right]
            unique += 1 if count[code] == 0 else 0
            count[code] += 1
            _replay(count, winner, code, width)
            right += 1
        number[j] = unique
        mode[j] = winner[1]


@njit(cache=True, nogil=True)
def _replay(count: Any, winner: Any, code: int, width: int) -> None:
    at = (width + code) // 2
    while at >= 1:
        a, b = winner[2 * at], winner[2 * at + 1]
        winner[at] = b if count[b] > count[a] else a
        at //= 2
