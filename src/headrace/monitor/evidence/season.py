"""Drift that the same weeks of earlier years show too: a December is compared with earlier Decembers, if there are any.

A reference of more than a year holds, for each window, rows of the same season: those within three weeks of the window
moved back by 52 weeks, or a multiple. A feature that differs from the whole reference, but from its season by less than
half as much, follows the calendar. It is not counted as drifted, and a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.drift_tests.moments import MEAN
from headrace.monitor.evidence.columns import CONDITIONAL, JOINED, ColumnEvidence, compare_column
from headrace.monitor.evidence.window import WindowEvidence

#: 52 weeks, so that weekdays stay; and how far from there a season reaches.
YEAR, AROUND = 364 * DAY, 21 * DAY
#: Fewer rows of the season tell nothing.
MIN_ROWS = 100
_MOST_OF_EFFECT = 0.5


def same_season(reference: pa.Table, start_us: int, end_us: int) -> pa.Table | None:
    """Select the rows of a reference near the same weeks of earlier years.

    Args:
        reference: Rows with a column `_cutoff` (us).
        start_us, end_us: The window.

    Returns:
        The rows in their order; None where there is no `_cutoff` or fewer than 100 rows are of the season.
    """
    if CUTOFF not in reference.column_names:
        return None
    cutoffs = reference[CUTOFF].to_numpy()
    years = np.round(((start_us + end_us) / 2 - cutoffs) / YEAR)
    moved = cutoffs + years.astype(np.int64) * YEAR
    keep = (years >= 1) & (moved >= start_us - AROUND) & (moved < end_us + AROUND)
    return reference.filter(pa.array(keep)) if np.count_nonzero(keep) >= MIN_ROWS else None


def explained_by_season(
    found: WindowEvidence,
    reference: pa.Table | None,
    current: pa.Table | None,
    start_us: int,
    end_us: int,
    floors: Mapping[str, float] | None = None,
) -> WindowEvidence:
    """Return the evidence without the drift of features that the same season of earlier years shows too.

    Args:
        found: Evidence of the window against the whole reference.
        reference, current: Rows of both sides.
        start_us, end_us: The window.
        floors: Test -> smallest effect that matters, where it differs from the test's own floor.
    """
    if not found.drifted or reference is None or current is None:
        return found
    season = same_season(reference, start_us, end_us)
    if season is None:
        return found
    seasonal = {
        column.name
        for column in found.columns
        if column.drifted and column.test != CONDITIONAL and _as_usual(column, reference, season, current, floors)
    }
    columns = tuple(replace(item, drifted=False) if item.name in seasonal else item for item in found.columns)
    drifted = tuple(name for name in found.drifted if name not in seasonal)
    notes = (f"{name}: as in the same weeks of a year before" for name in sorted(seasonal))
    share = found.share_drifted * len(drifted) / len(found.drifted)
    return replace(found, columns=columns, drifted=drifted, share_drifted=share, notes=(*found.notes, *notes))


def _as_usual(
    column: ColumnEvidence,
    reference: pa.Table,
    season: pa.Table,
    current: pa.Table,
    floors: Mapping[str, float] | None,
) -> bool:
    """Whether the deciding test's effect against the season is less than half of that against all rows."""
    test = MEAN.name if column.test.startswith(JOINED) else column.test
    whole, usual = (
        compare_column(column.name, column.kind, rows[column.name], current[column.name], floors=floors).measures
        for rows in (reference, season)
    )
    if test not in whole or test not in usual:
        return False
    return usual[test].effect < _MOST_OF_EFFECT * whole[test].effect
