"""Read the rows that a spine is built from: of a large table in files only the columns and the keys that are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.core.errors import DataError
from headrace.core.memory import current_limit, release_unused_memory, resident_bytes
from headrace.schema import HorizonLabel, Problem
from headrace.synthesis.history.key_hash import key_hashes
from headrace.synthesis.history.known_time import cutoff_instants
from headrace.synthesis.language.columns import ARRIVAL, ORDER, known_at_cutoff
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import TablesInFiles, is_large, read_columns, read_in_parts, schema_of

#: Rows whose size is measured; a spine has the values of a row so many times, and so many bytes beside them.
_SAMPLE_ROWS, _COPIES, _ROW_BYTES = 2_000, 3.0, 150.0


def columns_at_cutoff(problem: Problem, names: Sequence[str]) -> list[str]:
    """Those columns of the spine's table that a spine has: keys, and what is known at the cutoff."""
    known = {*problem.spine_table.keys, *problem.join_keys}
    known |= {name for name in names if name not in (ARRIVAL, ORDER) and known_at_cutoff(problem, name)}
    if problem.splits is not None and problem.splits.column is not None:
        known.add(problem.splits.column)  # never a feature
    return [name for name in names if name in known]


def spine_rows(problem: Problem, snapshot: Tables, start_us: int | None, end_us: int | None) -> pa.Table:
    """The versions of the rows whose cutoff may be in [start, end).

    Args:
        problem: declares the spine.
        snapshot: the tables.
        start_us: None: from the first row on.
        end_us: None: up to the last row.

    Raises:
        DataError: all rows of a large table do not fit below the memory limit.

    Returns:
        All versions of every key of which a version has its cutoff there, and perhaps other rows, in the order of
        appending. All columns, or those of a large table that a spine reads and nothing ignores.
    """
    table = problem.spine_table
    if not is_large(snapshot, table.name):
        return snapshot.table(table.name)
    names = _needed(problem, schema_of(snapshot, table.name).names)
    if start_us is None or start_us <= BEFORE_ALL:
        _require_room(problem, snapshot, names)
        return read_columns(snapshot, table.name, names)
    until = NEVER if end_us is None else end_us
    hashes = []
    for part in read_in_parts(snapshot, table.name, [*dict.fromkeys([*table.keys, problem.cutoff.column])]):
        cutoffs = cutoff_instants(table, problem.cutoff, part)
        inside = part.filter(pa.array((cutoffs >= start_us) & (cutoffs < until)))
        hashes.append(key_hashes([inside[name] for name in table.keys]))
    chosen = np.unique(np.concatenate(hashes)) if hashes else np.empty(0, dtype=np.uint64)
    parts = [schema_of(snapshot, table.name).empty_table().select(names)]
    for part in read_in_parts(snapshot, table.name, names):
        parts.append(part.filter(pa.array(np.isin(key_hashes([part[name] for name in table.keys]), chosen))))
    return pa.concat_tables(parts).combine_chunks()


def _require_room(problem: Problem, snapshot: Tables, names: Sequence[str]) -> None:
    """Raise DataError where a spine of all rows of a large table does not fit below the memory limit."""
    limit, name = current_limit(), problem.spine_table.name
    if limit is None or not isinstance(snapshot, TablesInFiles):
        return
    files = [parquet.ParquetFile(path) for path in snapshot.files(name)]
    rows = sum(file.num_rows for file in files)
    sample = next((part for file in files for part in file.batches(_SAMPLE_ROWS, names)), None)
    values = 0.0 if sample is None else sample.nbytes / max(sample.num_rows, 1)
    release_unused_memory()
    enough = (resident_bytes() + rows * (_COPIES * values + _ROW_BYTES)) / 1e6
    if enough * 1e6 > limit:
        raise DataError(
            f"max_memory of {limit / 1e6:,.0f} MB is not enough for a prediction for each of {rows:,} rows of {name}",
            where=problem.name,
            fix=f"give at least {enough * 1.05:,.0f} MB, or predict on a schedule (spine=every(...))",
            enough_mb=enough,
        )


def _needed(problem: Problem, names: Sequence[str]) -> list[str]:
    """The columns of the spine's table that a spine is built from."""
    table, label = problem.spine_table, problem.label_expression
    ignored = {name for name, role in table.roles.items() if role == "ignore"}
    ignored |= {name for name in names if f"{table.name}.{name}" in problem.ignore}
    needed = {*columns_at_cutoff(problem, names)} - ignored
    needed |= {*table.keys, *problem.join_keys, *table.time_columns, problem.cutoff.column, ARRIVAL, ORDER}
    if problem.has_label and not isinstance(label, HorizonLabel):
        needed.add(label.column)
    return [name for name in names if name in needed]
