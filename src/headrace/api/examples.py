"""A real row to try the API with: the spine's row whose cutoff lies nearest to the production clock."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import iso, to_us
from headrace.lake.batch import load
from headrace.lake.store import Lake
from headrace.schema import Problem
from headrace.serving.request import Needs
from headrace.synthesis.columns import known_at_cutoff

_PLACEHOLDERS: dict[str, Any] = {
    "numeric": 1.0,
    "boolean": True,
    "categorical": "text",
    "text": "some words",
    "time": "2013-05-01T12:00:00Z",
}


def example_row(root: Path, problem: Problem, now_us: int) -> dict[str, Any] | None:
    """Columns known at the cutoff, of one row of the newest batch; None before anything was ingested."""
    batches = Lake(root, problem.name).batches(problem.spine.table)
    rows = load(batches[-1]) if batches else None
    if rows is None or rows.num_rows == 0 or problem.cutoff.column not in rows.column_names:
        return None
    cutoffs = rows[problem.cutoff.column].cast(pa.int64()).to_numpy() + problem.cutoff.offset_us
    nearest = int(np.nanargmin(np.abs(cutoffs - now_us)))
    row = rows.slice(nearest, 1).to_pylist()[0]
    always = (*problem.spine_table.keys, *problem.join_keys)
    names = [name for name in rows.column_names if name in always or known_at_cutoff(problem, name)]
    return {name: _json(row[name]) for name in names}


def placeholder_row(needs: Needs) -> dict[str, Any]:
    """A row of the right columns and types, where no real one is at hand."""
    keys: dict[str, Any] = dict.fromkeys(needs.join_keys, "key")
    return keys | {name: _PLACEHOLDERS[kind] for name, kind in needs.columns.items()}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(to_us(value))
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
