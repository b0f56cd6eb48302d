"""The reference's rows of the same times of the week as the window's: a Monday is held to Mondays.

A window of whole weeks has every time of the week as often as the next, and is held to the whole reference. Any other
is held to those rows whose time of the week it covers, as often as it covers that (ten days have three weekdays twice);
sixty days are held to nearly everything. Weeks are of 168 hours, in UTC: no calendar, and no clock change.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF

_WEEK = 7 * DAY


def times_covered(cutoffs_us: NDArray[np.int64], start_us: int, end_us: int) -> NDArray[np.int64]:
    """How often [start, end) has each cutoff's time of the week, [n]."""
    return (end_us - 1 - cutoffs_us) // _WEEK - (start_us - 1 - cutoffs_us) // _WEEK


def same_weekdays(table: pa.Table, start_us: int, end_us: int) -> pa.Table:
    """Rows with a `_cutoff` of the window's times of the week, in their order: evenly thinned where it has them less
    often than others. The table itself where it knows no cutoffs, or the window is of whole weeks.
    """
    if CUTOFF not in table.column_names or not (end_us - start_us) % _WEEK:
        return table
    cutoffs = table[CUTOFF].to_numpy()
    covered = times_covered(cutoffs, start_us, end_us)
    max_count, selected = int(covered.max(initial=0)), np.zeros(len(covered), dtype=np.bool_)
    for count in range(1, max_count + 1):
        rows = np.flatnonzero(covered == count)
        rows = rows[np.argsort(cutoffs[rows], kind="stable")]
        position = np.arange(len(rows)) * count
        selected[rows] = (position + count) // max_count > position // max_count
    return table.filter(pa.array(selected))


def spacing_us(start_us: int, end_us: int) -> int:
    """From one such window of the thinned reference to the next: whole weeks, one at least."""
    return max((end_us - start_us) // _WEEK, 1) * _WEEK
