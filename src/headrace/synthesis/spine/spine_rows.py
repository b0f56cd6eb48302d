"""Read the rows that a spine is built from: of a large table in files only the columns and the keys that are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.schema import HorizonLabel, Problem
from headrace.synthesis.history.key_hash import key_hashes
from headrace.synthesis.history.known_time import cutoff_instants
from headrace.synthesis.language.columns import ARRIVAL, ORDER, known_at_cutoff
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import is_large, read_columns, read_in_parts, schema_of


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

    Returns:
        All versions of every key of which a version has its cutoff there, and perhaps other rows, in the order of
        appending. All columns, or those of a large table that a spine reads.
    """
    table = problem.spine_table
    if not is_large(snapshot, table.name):
        return snapshot.table(table.name)
    names = _needed(problem, schema_of(snapshot, table.name).names)
    if start_us is None or start_us <= BEFORE_ALL:
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


def _needed(problem: Problem, names: Sequence[str]) -> list[str]:
    """The columns of the spine's table that a spine is built from."""
    table, label = problem.spine_table, problem.label_expression
    needed = {*columns_at_cutoff(problem, names), *table.time_columns, problem.cutoff.column, ARRIVAL, ORDER}
    if problem.has_label and not isinstance(label, HorizonLabel):
        needed.add(label.column)
    return [name for name in names if name in needed]
