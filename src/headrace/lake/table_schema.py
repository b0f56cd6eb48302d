"""The columns of a table over all of its batches, and the order of these batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL
from headrace.core.errors import DataError
from headrace.lake.batch import Batch, load, load_parts, schema
from headrace.lake.conform import ARRIVAL

#: The column with the position of each row among all versions of a table's rows.
ORDER = "_order"
#: Rows whose size is measured, and bytes of `_arrival` and `_order`.
_SAMPLE_ROWS, _ADDED_BYTES = 2_000, 16.0


def unify(table: str, schemas: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    """Unify the schemas of all batches of a table; int64 and float64 become float64.

    Args:
        table: Name of the table, for errors.
        schemas: (batch id, schema) of each batch.

    Raises:
        DataError: A column has incompatible types; both types and batches are named.
    """
    types: dict[str, tuple[str, pa.DataType]] = {}
    for batch, one in schemas:
        for field in one:
            origin, kind = types.get(field.name, (batch, field.type))
            types[field.name] = (
                origin if kind == field.type else batch,
                _common_type(table, field, kind, batch, origin),
            )
    return pa.schema([pa.field(name, kind) for name, (_, kind) in types.items()])


def _common_type(table: str, field: pa.Field, kind: pa.DataType, batch: str, origin: str) -> pa.DataType:
    if field.type == kind or pa.types.is_null(field.type):
        return kind
    if pa.types.is_null(kind):
        return field.type
    if {field.type, kind} == {pa.int64(), pa.float64()}:
        return pa.float64()
    raise DataError(
        f"{field.type} in {batch}, but {kind} in batch {origin}",
        where=f"{table}.{field.name}",
        fix="send the column with the type it had, or under another name",
    )


def rows_schema(table: str, batches: Sequence[Batch]) -> pa.Schema:
    """Return the schema of a table's rows with `_arrival`, without `_order`. batches: in version order."""
    found = [(batch.id, with_arrival(schema(batch).empty_table(), batch).schema) for batch in batches]
    unified = unify(table, found)
    return pa.schema([pa.field(one.name, pa.float64() if pa.types.is_null(one.type) else one.type) for one in unified])


def row_bytes(batches: Sequence[Batch]) -> float:
    """Return about how many bytes a row takes in memory, from the first rows of the largest batch."""
    largest = max(batches, key=lambda batch: batch.rows)
    if largest.rows == 0:
        return _ADDED_BYTES
    if largest.path not in _SAMPLED:
        names = schema(largest).names
        sample = next(load_parts(largest, _SAMPLE_ROWS, names)) if largest.rows > _SAMPLE_ROWS else load(largest)
        _SAMPLED[largest.path] = sample.nbytes / max(sample.num_rows, 1)
    return _SAMPLED[largest.path] + _ADDED_BYTES


#: Folder of a batch -> bytes of its rows in memory. A batch never changes.
_SAMPLED: dict[Path, float] = {}


def precedence(batch: Batch) -> tuple[int, int]:
    """The sort key of batches in version order: arrival, then the order of appending."""
    return (BEFORE_ALL if batch.bootstrap else batch.arrival_us, batch.sequence)


def with_arrival(rows: pa.Table, batch: Batch) -> pa.Table:
    """Return the rows of a batch with `_arrival`, int64 us: their own, or that of the batch."""
    if ARRIVAL in rows.column_names:
        position = rows.column_names.index(ARRIVAL)
        return rows.set_column(position, ARRIVAL, rows.column(ARRIVAL).cast(pa.int64()))
    arrival, _ = precedence(batch)
    return rows.append_column(ARRIVAL, pa.array(np.full(rows.num_rows, arrival, dtype=np.int64)))


def cast_to_schema(rows: pa.Table, types: pa.Schema) -> pa.Table:
    """Return rows with the columns of a schema, null where they lack one; a column of type null becomes float64."""
    columns = {}
    for field in types:
        kind = pa.float64() if pa.types.is_null(field.type) else field.type
        if field.name in rows.column_names:
            columns[field.name] = rows.column(field.name).cast(kind)
        else:
            columns[field.name] = pa.nulls(rows.num_rows, kind)
    return pa.table(columns)
