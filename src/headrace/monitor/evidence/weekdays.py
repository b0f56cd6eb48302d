"""The reference's rows of the same times of the week as the window's: a Monday is held to Mondays.

A window of whole weeks covers every time of the week equally often and is compared with the whole reference. Any other
window is compared with the rows whose time of the week it covers, weighted by how often it covers it (ten days cover
three weekdays twice). A week is 168 hours in UTC.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF

_WEEK = 7 * DAY


def times_covered(cutoffs_us: NDArray[np.int64], start_us: int, end_us: int) -> NDArray[np.int64]:
    """Count how often [start, end) covers the time of the week of each cutoff [n]."""
    return (end_us - 1 - cutoffs_us) // _WEEK - (start_us - 1 - cutoffs_us) // _WEEK


def same_weekdays(table: pa.Table, start_us: int, end_us: int) -> pa.Table:
    """Select the rows of a reference at the window's times of the week.

    Args:
        table: Reference rows with a column `_cutoff` (us).
        start_us, end_us: The window.

    Returns:
        The selected rows in their order, evenly thinned at times of the week that the window covers less often than
        others. The table itself where it has no `_cutoff`, or the window is a number of whole weeks.
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
    """Return the time from one such window to the next in the selected reference: whole weeks, at least one."""
    return max((end_us - start_us) // _WEEK, 1) * _WEEK
