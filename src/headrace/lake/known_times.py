"""Compute the declared known time of each row and of each later column, int64 microseconds [n].

The arrival of a batch is added by the lake.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.calendar import period_ends
from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.schema import Table, TimeExpression

Ints = npt.NDArray[np.int64]


def instants(table: Table, rows: pa.Table, expression: TimeExpression, missing: int = NEVER) -> Ints:
    """Evaluate a time expression for every row.

    Args:
        table: The declared table; with a resolution, a value is known at the end of its day (or year ...).
        rows: Its rows [n].
        expression: Column and offset.
        missing: Result where the column is null.

    Returns:
        Instants [n], microseconds UTC.
    """
    column = rows.column(expression.column)
    values = np.asarray(column.cast(pa.int64()).fill_null(0).to_numpy())
    if table.resolution is not None:
        values = period_ends(values, table.resolution, table.tz)
    values = values + expression.offset_us
    return values if column.null_count == 0 else np.where(column.is_null().to_numpy(), missing, values)


def row_known(table: Table, rows: pa.Table) -> Ints:
    """Return the known time of each row [n]; BEFORE_ALL in a table without time, or where the time is null."""
    expression = table.row_known
    if expression is None:
        return np.full(rows.num_rows, BEFORE_ALL, dtype=np.int64)
    return instants(table, rows, expression, missing=BEFORE_ALL)


def later_columns(table: Table) -> dict[str, TimeExpression]:
    """Return the columns that become known later than their row, with their known time.

    These are the columns of `known_at` and the columns that its expressions read: an instant in the future is not known
    either (the actual departure of a flight still at its gate), unless it is declared otherwise.
    """
    later = {column: TimeExpression.parse(text) for column, text in table.known_at.items()}
    with_row = {table.time, table.row_known.column if table.row_known is not None else None, *table.keys}
    for expression in tuple(later.values()):
        if expression.column not in with_row and expression.column not in later:
            later[expression.column] = TimeExpression(column=expression.column)
    return later
