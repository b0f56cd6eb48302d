"""Convert rows of any source to the types of the lake, or raise one DataError that names the row, the reason, the fix.

Kept types: int64, float64, bool, string, timestamp('us', UTC), and null for a column that is still all empty. A
missing number is null, never NaN; an infinite one is refused. Rows keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.lake import text_parsing
from headrace.lake.keys import row_keys
from headrace.lake.times import TimeFormat, column_instants
from headrace.schema import HorizonLabel, Problem, Table

#: The column in which a feed says when our gateway received each row.
ARRIVAL = "_arrival"

#: Up to this size, every whole number is a float64.
LARGEST_EXACT = 2**53

#: What to do about a text among numbers. A key keeps its type: every row has one, and rows are found by it.
_NUMBER_FIX = "correct the value, leave it empty, or declare the column's role as 'categorical'"
_KEY_FIX = "correct the value: the key is a number, by its role or in the rows before"

#: Share of a text column's values that must read as numbers for the rest to be taken as mistakes.
NUMERIC_SHARE = 0.9


def conform(
    table: Table,
    rows: pa.Table,
    *,
    expected: pa.Schema | None = None,
    required: Iterable[str] = (),
    ignored: Iterable[str] = (),
    allow_empty: bool = True,
) -> pa.Table:
    """Convert the rows of a declared table to the types of the lake.

    Args:
        table: The declaration.
        rows: Rows of its source.
        expected: Schema of earlier batches, whose types are kept.
        required: Columns that must be present besides those of the declaration.
        ignored: Columns that nothing reads, besides those of role `ignore`; null where they cannot be converted.
        allow_empty: Whether a table without rows is valid.

    Raises:
        DataError: A column is missing or duplicated, a value has another type, or a key is null or duplicated.
    """
    required = tuple(required)
    _check_columns(table, rows, required)
    if rows.num_rows == 0 and not allow_empty:
        raise DataError("the table has no rows", where=table.name, fix="check its source: at least one row is needed")
    read = {*table.named_columns, *required}
    silent = {*ignored, *(name for name, role in table.roles.items() if role == "ignore")} - read
    for name in table.keys:
        _check_decimals(f"{table.name}.{name}", rows.column(name))
    columns = {
        name: _ignored(table, name, rows.column(name), expected)
        if name in silent
        else _column(table, name, rows.column(name), expected)
        for name in rows.column_names
    }
    conformed = pa.table(columns)
    _check_keys(table, conformed)
    return conformed


def required_columns(problem: Problem, table_name: str) -> tuple[str, ...]:
    """Return the columns that a problem needs besides a table's own declaration: label, join keys, foreign keys."""
    names = [r.child_column for r in problem.entity_set.parents(table_name)]
    label = problem.label_expression
    if table_name == problem.spine.table:
        split_column = problem.splits.column if problem.splits is not None else None
        names += [problem.cutoff.column, label.column, *problem.join_keys, split_column or ""]
    if isinstance(label, HorizonLabel) and label.table == table_name:
        names += label.columns  # `until` is declared with its known time, and so required anyway
    return tuple(name for name in dict.fromkeys(names) if name)


def ignored_columns(problem: Problem, table: Table) -> tuple[str, ...]:
    """Return the columns that the problem or the table ignores and that nothing else reads."""
    read = {*table.named_columns, *required_columns(problem, table.name)}
    names = [name.partition(".")[2] for name in problem.ignore if name.partition(".")[0] == table.name]
    names += [name for name, role in table.roles.items() if role == "ignore"]
    return tuple(name for name in dict.fromkeys(names) if name not in read)


def check_label(problem: Problem, rows: pa.Table) -> pa.Table:
    """Check that no label of the spine's rows is NaN, and return the rows; DataError where one is."""
    name = problem.label_expression.column
    if name in rows.column_names and pa.types.is_floating(rows.schema.field(name).type):
        wrong = int(pc.sum(pc.is_nan(rows.column(name))).as_py() or 0)
        if wrong:
            raise DataError(
                f"{wrong} label{'s are' if wrong > 1 else ' is'} NaN",
                where=f"{problem.spine.table}.{name}",
                fix="correct the value, or leave it empty (null) if it never came",
            )
    return rows


def _check_columns(table: Table, rows: pa.Table, required: Iterable[str]) -> None:
    names = rows.column_names
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise DataError(
            "columns come twice", where=table.name, found=duplicates, fix="give each column a name of its own"
        )
    reserved = [name for name in names if name.startswith("_") and name != ARRIVAL]
    if reserved:
        raise DataError(
            "column names that begin with _ are kept for Headrace", where=table.name, found=reserved, fix="rename them"
        )
    needed = dict.fromkeys((*table.named_columns, *required))
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(
            f"missing column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            where=table.name,
            found=names,
            fix="add them to the source, or correct the declaration",
        )


def _ignored(table: Table, name: str, column: pa.ChunkedArray, expected: pa.Schema | None) -> pa.ChunkedArray:
    """Convert a column that nothing reads; all null where it cannot be converted or has another type than before."""
    empty = pa.chunked_array([pa.nulls(len(column))])
    try:
        converted = _column(table, name, column, expected)
    except DataError:
        return empty
    expected_type = expected.field(name).type if expected is not None and name in expected.names else converted.type
    fits = (
        converted.type == expected_type
        or pa.types.is_null(expected_type)
        or {converted.type, expected_type} <= {pa.int64(), pa.float64()}
    )
    return converted if fits else empty


def _column(table: Table, name: str, column: pa.ChunkedArray, expected: pa.Schema | None) -> pa.ChunkedArray:
    where = f"{table.name}.{name}"
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if name in table.time_columns or name == ARRIVAL or table.roles.get(name) == "time" or _is_time(column.type):
        return column_instants(column, TimeFormat.of(table, name), where)
    column = _cast_to_kept_type(where, column)
    if pa.types.is_string(column.type) and _is_numeric(table, name, column, expected):
        column = _numbers(where, column, _KEY_FIX if name in table.keys else _NUMBER_FIX)
    if pa.types.is_floating(column.type):
        column = _finite(where, column)
        if expected is not None and name in expected.names and expected.field(name).type == pa.int64():
            column = _whole_numbers(column)
    return column


def _check_decimals(where: str, column: pa.ChunkedArray) -> None:
    """DataError for a key of decimals some of which become the same number in 64 bits."""
    if pa.types.is_decimal(column.type):
        distinct = pc.unique(column)
        if len(pc.unique(distinct.cast(pa.float64()))) < len(distinct):
            raise DataError("a key of more digits than a number holds", where=where, fix="write the column as text")


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _cast_to_kept_type(where: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in one of the kept types, its meaning unchanged."""
    kind = column.type
    if pa.types.is_integer(kind):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            raise DataError("an integer is beyond 64 bits", where=where, fix="write the column as text") from None
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    raise DataError(
        f"the type {kind} cannot be kept",
        where=where,
        fix="write numbers, texts, booleans or times, or give the column the role 'ignore'",
    )


def _is_numeric(table: Table, name: str, column: pa.ChunkedArray, expected: pa.Schema | None) -> bool:
    """Whether a text column is meant to hold numbers: declared, so before, or nearly all of it does."""
    role = table.roles.get(name)
    if role is not None:
        return role == "numeric"
    if name in table.bounds:
        return True
    if expected is not None and name in expected.names and not pa.types.is_null(expected.field(name).type):
        kind = expected.field(name).type
        return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
    return name not in table.keys and NUMERIC_SHARE <= text_parsing.numeric_share(column) < 1.0


def _numbers(where: str, column: pa.ChunkedArray, fix: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        row, value = text_parsing.first_not_a_number(column)
    raise DataError(
        f"text in a numeric column: {value!r}",
        where=f"{where}, row {row + 1}",
        fix=fix,
        row=row + 1,
        value=value,
    )


def _finite(where: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null for NaN (how some writers spell a missing number); an infinite value is refused."""
    values = column.to_numpy()
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        row = int(infinite[0])
        raise DataError(
            f"an infinite number: {values[row]}",
            where=f"{where}, row {row + 1}",
            fix="correct the value, or leave it empty if it is not known",
            row=row + 1,
        )
    if int(np.isnan(values).sum()) == column.null_count:
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The floats as int64, where all are whole and exact: pandas writes whole numbers with a gap as floats."""
    if pc.any(pc.greater(pc.abs(column), float(LARGEST_EXACT))).as_py():
        return column
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:  # a fraction
        return column


def _check_keys(table: Table, rows: pa.Table) -> None:
    """No key twice; where a feed brings versions, no key twice at one arrival. Rules of the batch refuse null keys."""
    for name in table.keys:
        if rows[name].null_count:
            rows = rows.filter(rows[name].is_valid())
    by: Sequence[str] = (*table.keys, ARRIVAL) if ARRIVAL in rows.column_names else table.keys
    counts = rows.select(list(by)).group_by(list(by)).aggregate([([], "count_all")])
    if counts.num_rows == rows.num_rows:
        return
    duplicates = counts.filter(pc.greater(counts["count_all"], 1))
    shown = [", ".join(map(str, key)) for key in row_keys(duplicates.slice(0, 5), table.keys)]
    raise DataError(
        f"{duplicates.num_rows} duplicate key{'s' if duplicates.num_rows > 1 else ''} ({', '.join(table.keys)})",
        where=table.name,
        found=shown,
        fix="a batch may hold a key once; send a correction as a later batch, or add a column to the key",
        duplicates=duplicates.num_rows,
    )
