"""Convert the rows of events to the types that their table has in the lake, or say what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from headrace.core.errors import DataError
from headrace.lake.conform import ARRIVAL, check_label, conform, ignored_columns, required_columns
from headrace.lake.table_faults import rule_faults
from headrace.lake.times import TIMESTAMP
from headrace.problems.sources.joining import ParentColumns, Parents
from headrace.schema import Problem, Table

#: Rows of one request, at most.
MOST_ROWS = 10_000


def event_rows(
    problem: Problem, table: Table, rows: Sequence[Mapping[str, Any]], expected: pa.Schema, parents: Parents
) -> pa.Table:
    """Convert events of a table.

    Args:
        problem: the declaration.
        table: the table that they are rows of.
        rows: column -> value; columns that are left out are null.
        expected: the types of the table's columns in the lake.
        parents: rows of parent tables, for times that stand there.

    Returns:
        The rows [n] with every column of `expected` but the arrival.

    Raises:
        DataError: a column is unknown or missing, a value has another type, breaks a bound, or a key comes twice.
    """
    if not rows or len(rows) > MOST_ROWS:
        fix = f"send between 1 and {MOST_ROWS} rows"
        raise DataError(f"{len(rows)} rows", where=table.name, fix=fix)
    names = [name for name in expected.names if name != ARRIVAL]
    joined = {one.column for one in table.joined}
    unknown = sorted({name for row in rows for name in row} - ({*names} - joined))
    if unknown:
        found = [name for name in names if name not in joined]
        raise DataError(f"no column {unknown[0]!r}", where=table.name, found=found, fix="leave it out")
    needed = {*table.named_columns, *required_columns(problem, table.name)} - joined
    given = [name for name in names if name not in joined and (name in needed or any(name in row for row in rows))]
    raw = pa.table({name: _column(table, name, [row.get(name) for row in rows]) for name in given})
    raw = ParentColumns.read(table, parents).add(raw)
    converted = conform(
        table, raw, expected=expected, required=required_columns(problem, table.name),
        ignored=ignored_columns(problem, table),
    )  # fmt: skip
    if table.name == problem.spine.table:
        check_label(problem, converted)
    if faults := rule_faults(table, converted):
        raise faults[0]
    return pa.table({name: _as_before(table, name, converted, expected) for name in names})


def with_arrival(rows: pa.Table, arrival_us: int) -> pa.Table:
    """Add the column that says when our gateway received each row."""
    return rows.append_column(ARRIVAL, pa.array([arrival_us] * rows.num_rows, pa.int64()).cast(TIMESTAMP))


def _column(table: Table, name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        raise DataError("values of several types", where=f"{table.name}.{name}", fix="send one type") from None
    except UnicodeEncodeError:
        raise DataError(
            "a text that is no Unicode", where=f"{table.name}.{name}", fix="send whole characters"
        ) from None


def _as_before(table: Table, name: str, rows: pa.Table, expected: pa.Schema) -> pa.ChunkedArray:
    """A column with its type in the lake; null where the events leave it out."""
    kind = expected.field(name).type
    if name not in rows.column_names:
        return pa.chunked_array([pa.nulls(rows.num_rows, kind)])
    column = rows.column(name)
    if column.type == kind or pa.types.is_null(kind):
        return column
    if pa.types.is_null(column.type) or (pa.types.is_integer(column.type) and pa.types.is_floating(kind)):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            raise DataError(
                f"a whole number that {kind} does not hold exactly",
                where=f"{table.name}.{name}",
                fix="send fewer digits",
            ) from None
    raise DataError(
        f"{column.type}, but {kind} in the lake", where=f"{table.name}.{name}", fix="send the type that the column has"
    )
