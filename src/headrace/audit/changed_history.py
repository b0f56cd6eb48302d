"""A history in which everything that is known at or after an instant is different, for the leak probe.

Every value that became known then or later is changed (instants only to later ones, because they declare when values
are known), a third of the rows that became known then or later is dropped, and a third of all older rows gets a
version that arrives then or later with other values. A feature that uses only what was known before the instant has
the same value in both histories.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.core.clock import DAY, HOUR, NEVER
from headrace.lake import known_times
from headrace.schema import Problem, Table
from headrace.synthesis.language.columns import ARRIVAL, ORDER
from headrace.synthesis.language.engine import Tables

Flags = NDArray[np.bool_]


class ChangedHistory:
    """A snapshot with other values from an instant on; the same instant and seed give the same tables.

    Args:
        problem: Declares the tables.
        snapshot: The true tables.
        instant_us: The instant (us).
        seed: Of the changes.
    """

    def __init__(self, problem: Problem, snapshot: Tables, instant_us: int, *, seed: int = 0) -> None:
        self._problem = problem
        self._snapshot = snapshot
        self._instant_us = instant_us
        self._seed = seed
        self._tables: dict[str, pa.Table] = {}

    def table(self, name: str) -> pa.Table:
        """Return the changed rows of a table, with `_arrival` and `_order`."""
        if name not in self._tables:
            declared = self._problem.entity_set.table(name)
            rows = self._snapshot.table(name).drop_columns([ORDER])
            number = [table.name for table in self._problem.entity_set.tables].index(name)
            rng = np.random.default_rng([self._seed, number])
            rows = changed_rows(self._problem, declared, rows, self._instant_us, rng)
            self._tables[name] = rows.append_column(ORDER, pa.array(np.arange(rows.num_rows, dtype=np.int64)))
        return self._tables[name]


def changed_rows(problem: Problem, table: Table, rows: pa.Table, instant_us: int, rng: np.random.Generator) -> pa.Table:
    """Return the rows of a table with other values from an instant on.

    Args:
        problem: Declares the tables.
        table: The table.
        rows: Its rows with `_arrival`, without `_order`.
        instant_us: The instant (us).
        rng: Draws the changes.
    """
    row_known = known_times.row_known(table, rows)
    later = known_times.later_columns(table)
    changed = rows
    for name in (item for item in rows.column_names if item not in (*table.keys, ARRIVAL)):
        known = np.maximum(known_times.instants(table, rows, later[name]) if name in later else row_known, row_known)
        changed = other_values(changed, name, known >= instant_us, rng)
    changed = changed.filter(pa.array((row_known < instant_us) | (rng.uniform(size=len(row_known)) < 2 / 3)))
    corrected = rows.filter(pa.array((row_known < instant_us) & (rng.uniform(size=len(row_known)) < 1 / 3)))
    # The column that cutoffs are read from stays: another cutoff is another prediction.
    cutoff = problem.cutoff.column if table.name == problem.spine.table else None
    for name in (item for item in rows.column_names if item not in (*table.keys, ARRIVAL, cutoff)):
        corrected = other_values(corrected, name, np.ones(corrected.num_rows, dtype=np.bool_), rng, earliest=-30 * DAY)
    arrival = instant_us + rng.integers(0, 3, corrected.num_rows) * HOUR
    place = corrected.column_names.index(ARRIVAL)
    return pa.concat_tables([changed, corrected.set_column(place, ARRIVAL, pa.array(arrival))])


def other_values(rows: pa.Table, name: str, which: Flags, rng: np.random.Generator, *, earliest: int = 0) -> pa.Table:
    """Return rows with other values in a column where `which`: shuffled, shifted, missing, or present."""
    column = rows[name].combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        shift = rng.integers(earliest, 30 * DAY, len(column))
        other = pc.add(column.cast(pa.int64()).fill_null(NEVER // 2), pa.array(shift))
        other = other.cast(column.type)
    else:
        other = column.take(pa.array(rng.permutation(len(column))))
        if pa.types.is_boolean(column.type):
            other = pc.invert(other)
        elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            other = pc.add(other, pa.scalar(3, column.type))
        other = pc.if_else(pa.array(rng.uniform(size=len(column)) < 0.2), pa.scalar(None, column.type), other)
    return rows.set_column(rows.column_names.index(name), name, pc.if_else(pa.array(which), other, column))
