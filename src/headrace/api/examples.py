"""A row to try the API with: the spine's row whose cutoff is nearest to the production clock, moved to be due now.

Its times other than keys are shifted by the same amount, so that its cutoff is the present: the answer then has no flag
for an unusual lead time.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import iso, to_us
from headrace.lake.batch import load
from headrace.schema import Every, Problem, Table, TimeExpression
from headrace.serving.lake_follower import local_copy
from headrace.serving.request import RequestSchema
from headrace.synthesis.language.columns import known_at_cutoff

_PLACEHOLDERS: dict[str, Any] = {
    "numeric": 1.0,
    "boolean": True,
    "categorical": "text",
    "text": "some words",
    "time": "2013-05-01T12:00:00Z",
}


def example_row(root: Path, problem: Problem, now_us: int) -> dict[str, Any] | None:
    """Columns known at the cutoff, of one row of the newest batch; None before anything was ingested."""
    if isinstance(problem.spine, Every):
        return _example_entity(root, problem, problem.spine, now_us)
    table, cutoff = problem.spine_table, problem.cutoff
    row = _nearest(root, problem, table, cutoff, now_us)
    if row is None:
        return None
    always = (*table.keys, *problem.join_keys)
    moved = _moved(row, to_us(row[cutoff.column]) + cutoff.offset_us, now_us, fixed=always)
    return {name: _json(value) for name, value in moved.items() if name in always or known_at_cutoff(problem, name)}


def _moved(row: dict[str, Any], from_us: int, to_instant_us: int, *, fixed: Collection[str]) -> dict[str, Any]:
    """The row with all times but the fixed ones shifted as one instant is to another."""
    shift = timedelta(microseconds=to_instant_us - from_us)
    return {
        name: value + shift if isinstance(value, datetime) and name not in fixed else value
        for name, value in row.items()
    }


def _example_entity(root: Path, problem: Problem, spine: Every, now_us: int) -> dict[str, Any] | None:
    """Who was active last; a schedule's rows are nowhere, and a request names the entity alone."""
    active = problem.entity_set.table(spine.active)
    assert active.time is not None  # checked at declaration
    row = _nearest(root, problem, active, TimeExpression(column=active.time), now_us)
    who = row.get(problem.schedule_link(spine)) if row is not None else None
    keys = problem.join_keys
    return {keys[0]: _json(who)} if len(keys) == 1 and who is not None else None


def _nearest(root: Path, problem: Problem, table: Table, when: TimeExpression, now_us: int) -> dict[str, Any] | None:
    """Of a table's newest batch the row whose instant lies nearest to now."""
    batches = local_copy(root, problem.name).batches(table.name)
    rows = load(batches[-1]) if batches else None
    if rows is None or rows.num_rows == 0 or when.column not in rows.column_names:
        return None
    instants = rows[when.column].cast(pa.int64()).to_numpy() + when.offset_us
    found: dict[str, Any] = rows.slice(int(np.nanargmin(np.abs(instants - now_us))), 1).to_pylist()[0]
    return found


def placeholder_row(needs: RequestSchema) -> dict[str, Any]:
    """A row of the right columns and types, where no real one is at hand."""
    keys: dict[str, Any] = dict.fromkeys(needs.join_keys, "key")
    return keys | {name: _PLACEHOLDERS[kind] for name, kind in needs.columns.items()}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(to_us(value))
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
