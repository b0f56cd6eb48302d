"""Group rows into blocks by the instants at which their labels became known, for tests of whole blocks.

Rows of one hour or day depend on each other: a storm delays all flights of an afternoon. The mean of a block is one
observation, whatever the dependence within it. Blocks follow the order in which labels become known, so looking
earlier or later changes no block that was seen before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headrace.evaluate.metrics import Floats

Ints = NDArray[np.int64]


def complete_blocks(known_us: Ints, *, block_us: int, now_us: int, least_rows: int) -> Ints:
    """Return the number of each row's block [n], counted from 0; -1 for rows of the block that is not complete yet.

    A block is a whole number of periods: it ends with the first period after which it has `least_rows` rows.

    Args:
        known_us: Instants at which labels became known [n], microseconds UTC.
        block_us: Length of a period.
        now_us: The present: the period that it falls into is not complete.
        least_rows: Least number of rows of a block.
    """
    periods, counts = np.unique(known_us // block_us, return_counts=True)
    numbers, number, rows = np.full(len(periods), -1, dtype=np.int64), 0, 0
    for at, (period, count) in enumerate(zip(periods.tolist(), counts.tolist(), strict=True)):
        if (period + 1) * block_us > now_us:
            break
        numbers[at] = number
        rows += count
        if rows >= least_rows:
            number, rows = number + 1, 0
    if rows:  # the last block has too few rows so far
        numbers[numbers == number] = -1
    return numbers[np.searchsorted(periods, known_us // block_us)] if len(periods) else np.empty(0, dtype=np.int64)


def block_means(values: Floats, blocks: Ints) -> Floats:
    """Return the mean of each block [b], in order; rows of block -1 are left out."""
    inside = blocks >= 0
    counts = np.bincount(blocks[inside])
    sums = np.bincount(blocks[inside], weights=values[inside])
    return np.asarray(sums / np.maximum(counts, 1), dtype=np.float64)
