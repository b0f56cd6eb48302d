"""Types of database columns in Arrow, and rows of a cursor as record batches of these types."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from headrace.core.errors import DataError


def arrow_schema(table: Any, connection: Any) -> pa.Schema:
    """Return the Arrow types of a reflected table of SQLAlchemy; of types that Arrow has no name for, text."""
    from sqlalchemy.types import NullType

    is_sqlite = connection.dialect.name == "sqlite"
    kinds = {
        column.name: _stored_type(column, connection)
        if is_sqlite and isinstance(column.type, NullType)
        else _arrow_type(column.type)
        for column in table.columns
    }
    return pa.schema([pa.field(name, kind) for name, kind in kinds.items()])


def record_batch(rows: Sequence[Sequence[Any]], schema: pa.Schema, where: str) -> pa.RecordBatch:
    """Convert rows of a database cursor.

    Raises:
        DataError: A column holds values of several types, as SQLite allows.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [_array(values, field, where) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _stored_type(column: Any, connection: Any) -> pa.DataType:
    """The type of the values in a column that SQLite has no type for, as one of a view's."""
    from sqlalchemy import func, select

    found = {kind for (kind,) in connection.execute(select(func.typeof(column)).distinct())} - {"null"}
    if found <= {"integer"}:
        return pa.int64()
    return pa.float64() if found <= {"integer", "real"} else pa.string()


def _arrow_type(kind: Any) -> pa.DataType:
    from sqlalchemy import types

    simple: tuple[tuple[Any, pa.DataType], ...] = (
        (types.Boolean, pa.bool_()),
        (types.Integer, pa.int64()),
        (types.Numeric, pa.float64()),  # Float too
        (types.Date, pa.date32()),
    )
    if isinstance(kind, types.DateTime):
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    return next((arrow for sql, arrow in simple if isinstance(kind, sql)), pa.string())


def _array(values: Sequence[Any], field: pa.Field, where: str) -> pa.Array:
    try:
        return pa.array([None if value is None else _converter(field.type)(value) for value in values], type=field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError):
        wrong = next((value for value in values if not _fits(value, field.type)), None)
        raise DataError(
            f"a value that is no {field.type}: {wrong!r}",
            where=f"{where}, column {field.name!r}",
            fix="correct the value, or read a view that casts the column",
        ) from None


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.array([None if value is None else _converter(kind)(value)], type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError):
        return False
    return True


def _converter(kind: pa.DataType) -> Callable[[Any], Any]:
    if pa.types.is_floating(kind):
        return float
    if pa.types.is_string(kind):
        return _text
    return _same


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str)
    return value.decode() if isinstance(value, bytes) else str(value)


def _same(value: Any) -> Any:
    return value
