"""A replayed feed: what our gateway had received by an instant, cut out of a source that holds the whole history.

`bootstrap` is everything known before the feed's start. `step` is what came in [from, to): one message per row and
instant at which something of it became known (its schedule, its departure, its arrival), each a full row with what is
known at that instant and null for the rest. Laid over each other by key they give the source as it was known at `to`.
Pure functions of the sources.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake import known_times
from headrace.lake.conform import ARRIVAL, check_label, conform, ignored_columns
from headrace.lake.names import check_column_names
from headrace.lake.times import TIMESTAMP
from headrace.problems.sources.reading import SourceReader
from headrace.schema import Problem, Table

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def bootstrap(problem: Problem) -> dict[str, pa.Table]:
    """Return the rows of the bootstrap load by table: all rows, or with a feed those known before its start.

    With a feed, rows are conformed, because their times must be read, and a source that cannot be raises DataError;
    without one they are returned unchanged for ingest to validate.
    """
    feed = problem.feed
    tables = {table.name: _source(problem, table) for table in problem.entity_set.tables}
    if feed is None:
        return tables
    return {
        table.name: known_before(table, _conformed(problem, table, tables[table.name]), feed.start_us)
        for table in problem.entity_set.tables
    }


def step(problem: Problem, from_us: int, to_us: int) -> dict[str, pa.Table]:
    """Return the messages of [from_us, to_us) by table, with `_arrival`, in order; tables without any are absent."""
    messages_by_table = {
        table.name: messages(table, _conformed(problem, table, _source(problem, table)), from_us, to_us)
        for table in problem.entity_set.tables
        if table.time is not None
    }
    return {name: rows for name, rows in messages_by_table.items() if rows.num_rows}


def known_before(table: Table, rows: pa.Table, instant_us: int) -> pa.Table:
    """Return the rows known before an instant, with null for values that were not known yet."""
    is_known = known_times.row_known(table, rows) < instant_us
    rows = rows.filter(pa.array(is_known))
    columns = known_times.later_columns(table)
    return _masked(
        rows,
        {name: known_times.instants(table, rows, expression) >= instant_us for name, expression in columns.items()},
    )


def messages(table: Table, rows: pa.Table, from_us: int, to_us: int) -> pa.Table:
    """Return one message for each row and instant in [from_us, to_us) at which a value became known, by `_arrival`."""
    row_known = known_times.row_known(table, rows)
    known_us = {
        name: np.maximum(known_times.instants(table, rows, expression), row_known)
        for name, expression in known_times.later_columns(table).items()
    }
    earlier_instants: list[Ints] = []
    parts: list[pa.Table] = []
    for instants in _distinct([row_known, *known_us.values()]):
        is_new = (instants >= from_us) & (instants < to_us)
        for earlier in earlier_instants:
            is_new &= instants != earlier
        earlier_instants.append(instants)
        rows_to_send = np.flatnonzero(is_new)
        now = instants[rows_to_send]
        hidden = {name: values[rows_to_send] > now for name, values in known_us.items()}
        part = _masked(rows.take(pa.array(rows_to_send)), hidden)
        parts.append(part.append_column(ARRIVAL, pa.array(now).cast(TIMESTAMP)))
    merged = pa.concat_tables(parts).combine_chunks()
    arrival = merged.column(ARRIVAL).cast(pa.int64()).to_numpy()
    return merged.take(pa.array(np.argsort(arrival, kind="stable")))


def _conformed(problem: Problem, table: Table, rows: pa.Table) -> pa.Table:
    check_column_names(problem, table, rows.column_names)
    return conform(table, rows, ignored=ignored_columns(problem, table))


def _source(problem: Problem, table: Table) -> pa.Table:
    rows = SourceReader.of(problem).rows(table)
    return check_label(problem, rows) if table.name == problem.spine.table else rows


def _distinct(columns: list[Ints]) -> list[Ints]:
    """Return the distinct arrays: several columns can become known together."""
    distinct: list[Ints] = []
    for column in columns:
        if not any(np.array_equal(column, earlier) for earlier in distinct):
            distinct.append(column)
    return distinct


def _masked(rows: pa.Table, hidden: Mapping[str, Bools]) -> pa.Table:
    """Set values to null where a column is hidden."""
    for name, mask in hidden.items():
        if mask.any():
            column = rows.column(name)
            position = rows.column_names.index(name)
            visible = pc.if_else(pa.array(mask), pa.scalar(None, column.type), column)
            rows = rows.set_column(position, rows.schema.field(name), visible)
    return rows
