"""Drift that persists: windows pooled with those before them, and features that drifted in k of the last n windows.

A shift that one window cannot distinguish from what windows differ by without drift, several windows can: the mean of
k of them varies less. The last k windows are compared as one long window, so overlapping evaluations need no memory.
The level is that of each window's evidence; `columns` divides it between the window and the long ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from headrace.models.bundle import CUTOFF

if TYPE_CHECKING:
    from headrace.monitor.evidence.window import WindowEvidence

#: Numbers of windows that are compared as one.
HORIZONS = (3, 6)
_MIN_ROWS = 30


class LongWindow(NamedTuple):
    """The last windows as one. windows: their number. table: their rows [m], columns as in the window's table."""

    windows: int
    table: pa.Table


def long_windows(
    current: pa.Table, history: pa.Table | None, start_us: int | None, length_us: int
) -> tuple[LongWindow, ...]:
    """Join a window with those before it.

    Args:
        current: Rows of the window.
        history: Rows of the same model before the window, with a column `_cutoff` (us).
        start_us: Start of the window.
        length_us: Its length; 0 joins nothing.

    Returns:
        For each of `HORIZONS`, the rows of that many windows; without those of which a window has fewer than 30 rows.
    """
    if history is None or start_us is None or not length_us or CUTOFF not in history.column_names:
        return ()
    names = [name for name in current.column_names if name in history.column_names]
    ages = (start_us - 1 - history[CUTOFF].to_numpy()) // length_us
    rows = np.bincount(ages[(ages >= 0) & (ages < max(HORIZONS))], minlength=max(HORIZONS))
    found = []
    for windows in HORIZONS:
        if (rows[: windows - 1] >= _MIN_ROWS).all():
            before = history.filter(pa.array((ages >= 0) & (ages < windows - 1)))
            tables = [current.select(names), before.select(names)]
            found.append(LongWindow(windows, pa.concat_tables(tables, promote_options="permissive")))
    return tuple(found)


def persistence(history: Sequence[WindowEvidence | Collection[str]], k: int, n: int) -> tuple[str, ...]:
    """Return the features that drifted in at least k of the last n measured windows, in alphabetical order.

    Args:
        history: Windows, oldest first, each as evidence or as the names of its drifted features.
        k: Number of windows with drift.
        n: Number of windows considered; windows that could not be measured do not count.
    """
    from headrace.monitor.evidence.window import WindowEvidence

    windows = [
        window.drifted if isinstance(window, WindowEvidence) else window
        for window in history
        if not isinstance(window, WindowEvidence) or window.measured
    ]
    times = Counter(name for window in windows[-n:] for name in set(window)) if n > 0 else Counter()
    return tuple(sorted(name for name, count in times.items() if count >= k))
