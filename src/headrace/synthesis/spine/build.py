"""Build the spine: one row per prediction, with its cutoff, tick, columns known at the cutoff, and label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import DataError
from headrace.schema import DUE, Every, HorizonLabel, Problem
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.known_time import cutoff_instants, effective_known
from headrace.synthesis.history.labels import label_values
from headrace.synthesis.history.schedule import scheduled_rows
from headrace.synthesis.history.versions import assertions, effective_versions
from headrace.synthesis.language.columns import ARRIVAL, ORDER, clock_of
from headrace.synthesis.language.engine import Engine, Tables
from headrace.synthesis.language.parquet_tables import schema_of
from headrace.synthesis.language.values import Flags, Floats, Ints, as_array
from headrace.synthesis.spine.horizon import horizon_labels
from headrace.synthesis.spine.spine_rows import columns_at_cutoff, spine_rows

#: Columns that a spine adds to those of its table.
SPINE_COLUMNS = ("cutoff", "tick", "label", "label_known", "mature", "censored")


def build_spine(
    problem: Problem,
    snapshot: Tables,
    *,
    start_us: int | None = None,
    end_us: int | None = None,
    now_us: int,
    engine: Engine,
) -> pa.Table:
    """Build the rows with start <= cutoff < end.

    Args:
        problem: declares the spine and the label.
        snapshot: the tables.
        start_us: None: from the first row on.
        end_us: None: up to the last row.
        now_us: labels known by then are given.
        engine: computes labels with a horizon.

    Returns:
        One row per key, sorted by (cutoff, order of append). Columns: the key, the join keys and every column known at
        the cutoff, from the latest version that arrived before the row's own cutoff; then `cutoff` and `tick` (int64
        us), `label` (float64, null unless known by `now_us`), `label_known` (int64 us; NEVER where no version has
        one), `mature`, and `censored`: the cutoff has passed, and there is no label.
    """
    if isinstance(problem.spine, Every):
        return _scheduled(problem, problem.spine, snapshot, start_us, end_us, now_us, engine)
    table = problem.spine_table
    check_cutoff(problem, schema_of(snapshot, table.name))
    rows = spine_rows(problem, snapshot, start_us, end_us)
    cutoffs = cutoff_instants(table, problem.cutoff, rows)
    keys, _ = encode_rows([plain(rows[column]) for column in table.keys])
    order = _numpy(rows, ORDER)
    chosen = _version_at_cutoff(keys, _numpy(rows, ARRIVAL), order, cutoffs)
    at = cutoffs[chosen]
    in_range = at < min(end_us if end_us is not None else NEVER, NEVER)
    if start_us is not None:
        in_range &= at >= start_us
    chosen = chosen[in_range]
    chosen = chosen[np.lexsort((order[chosen], cutoffs[chosen]))]
    if not problem.has_label:
        label, label_known = np.full(len(chosen), np.nan), np.full(len(chosen), NEVER, dtype=np.int64)
    elif isinstance(problem.label_expression, HorizonLabel):
        joins = rows.select(list(problem.join_keys)).take(pa.array(chosen))
        label, label_known = horizon_labels(problem, snapshot, joins, cutoffs[chosen], now_us, engine)
    else:
        by_key, known_by_key = _labels(problem, rows, keys, order, now_us)
        label, label_known = by_key[keys[chosen]], known_by_key[keys[chosen]]
    return _assemble(problem, rows, chosen, cutoffs[chosen], label, label_known, now_us)


def check_cutoff(problem: Problem, schema: pa.Schema) -> None:
    """Raise DataError unless the column that the cutoff is read from has times. schema: of the spine's table."""
    kind = schema.field(problem.cutoff.column).type
    if not pa.types.is_timestamp(kind):
        raise DataError(
            f"the cutoff is no time: the column holds {kind}",
            where=f"{problem.spine.table}.{problem.cutoff.column}",
            fix="name a column of times, with their zone",
        )


def spine_key_types(problem: Problem, snapshot: Tables) -> list[pa.DataType]:
    """The types of the spine's key columns; of a schedule those of its entity, and int64 us for the instant."""
    if isinstance(problem.spine, Every):
        links = schema_of(snapshot, problem.spine.active).empty_table()[problem.schedule_link(problem.spine)]
        return [plain(links).type, pa.int64()]
    schema = schema_of(snapshot, problem.spine.table)
    return [schema.field(name).type for name in problem.spine_table.keys]


def labels_at(
    problem: Problem, snapshot: Tables, keys: pa.Table, cutoffs: Ints, now_us: int, engine: Engine
) -> pa.Table:
    """The rows of a scheduled problem's spine at any keys and cutoffs (us) [n], in their order.

    Predictions that were requested between the instants of the schedule have labels too.
    """
    label, label_known = horizon_labels(problem, snapshot, keys, cutoffs, now_us, engine)
    columns = {**{name: keys[name] for name in problem.join_keys}, DUE: pa.array(cutoffs)}
    return _with_labels(problem, columns, cutoffs, label, label_known, now_us)


def _scheduled(
    problem: Problem,
    spine: Every,
    snapshot: Tables,
    start_us: int | None,
    end_us: int | None,
    now_us: int,
    engine: Engine,
) -> pa.Table:
    """Every entity at every multiple of the step where it had been active within the period; by (cutoff, key)."""
    until = now_us if end_us is None else min(now_us, end_us - 1)
    values, cutoffs = scheduled_rows(problem, spine, snapshot, now_us)
    inside = np.flatnonzero((cutoffs <= until) & (cutoffs >= (start_us if start_us is not None else BEFORE_ALL)))
    keys = pa.table({problem.spine_table.keys[0]: values.take(pa.array(inside))})
    return labels_at(problem, snapshot, keys, cutoffs[inside], now_us, engine)


def _numpy(rows: pa.Table, column: str) -> Ints:
    return np.array(as_array(rows[column]).to_numpy(zero_copy_only=False), dtype=np.int64)


def _version_at_cutoff(keys: Ints, arrival: Ints, order: Ints, cutoffs: Ints) -> Ints:
    """Per key the row of its latest version that arrived before its own cutoff; else of its earliest."""
    before = arrival < cutoffs
    rank = np.where(before, order, -1 - order)
    rows = np.lexsort((rank, before, keys))
    rows = rows[keys[rows] >= 0]
    last = np.ones(len(rows), dtype=np.bool_)
    last[:-1] = keys[rows[1:]] != keys[rows[:-1]]
    return rows[last]


def _labels(problem: Problem, rows: pa.Table, keys: Ints, order: Ints, now_us: int) -> tuple[Floats, Ints]:
    """The label of each key code as known at `now_us` (NaN if not), and when it is known (NEVER if it is not)."""
    values = label_values(problem, rows)
    clock = clock_of(problem, problem.spine_table, (problem.label_expression.column,))
    known = effective_known(problem.spine_table, clock, rows)
    effective = effective_versions(keys, known, order)
    starts, _ = assertions(keys, effective, known, np.zeros_like(keys), (values + 0.0).view(np.int64))
    count = int(keys.max(initial=-1)) + 1
    label = np.full(count, np.nan)
    label_known = np.full(count, NEVER, dtype=np.int64)
    asserted = np.flatnonzero(starts & (keys >= 0))
    asserted = asserted[np.lexsort((known[asserted], keys[asserted]))]
    past = asserted[known[asserted] <= now_us]
    future = asserted[known[asserted] > now_us][::-1]
    for part in (future, past):  # later writes win: the first future one, then the last past one
        label[keys[part]] = values[part]
        label_known[keys[part]] = known[part]
    label_known[np.isnan(label)] = NEVER
    label[label_known > now_us] = np.nan
    return label, label_known


def _assemble(
    problem: Problem, rows: pa.Table, chosen: Ints, cutoffs: Ints, label: Floats, label_known: Ints, now_us: int
) -> pa.Table:
    names = columns_at_cutoff(problem, rows.column_names)
    columns = {name: as_array(rows[name]).take(pa.array(chosen)) for name in names}
    return _with_labels(problem, columns, cutoffs, label, label_known, now_us)


def _with_labels(
    problem: Problem, columns: Mapping[str, Any], cutoffs: Ints, label: Floats, label_known: Ints, now_us: int
) -> pa.Table:
    mature: Flags = ~np.isnan(label)
    return pa.table(
        {
            **columns,
            "cutoff": pa.array(cutoffs),
            "tick": pa.array(cutoffs - cutoffs % problem.tick_us),
            "label": pa.array(label, from_pandas=True),
            "label_known": pa.array(label_known),
            "mature": pa.array(mature),
            "censored": pa.array(~mature & (cutoffs <= now_us)),
        }
    )
