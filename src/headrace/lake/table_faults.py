"""Find every fault of one table's rows at once, for `headrace check`: what conversion and validation would refuse."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError, HeadraceError
from headrace.lake.conform import check_label, conform, ignored_columns, required_columns
from headrace.lake.keys import row_keys
from headrace.lake.names import check_column_names
from headrace.schema import Problem, Table


def table_faults(problem: Problem, table: Table, rows: pa.Table) -> tuple[list[str], pa.Table | None]:
    """Return the faults of a table, one line each, and its converted rows; None where they cannot be converted.

    Missing columns that only the problem reads (join keys, the label) are not among the faults; `headrace check` tells
    them with the declaration that reads them.
    """
    faults = _faults_of_names(problem, table, rows)
    try:
        converted = conform(table, rows, ignored=ignored_columns(problem, table), allow_empty=False)
    except HeadraceError as error:
        return list(dict.fromkeys([*faults, *(_column_faults(problem, table, rows) or [str(error)])])), None
    faults += [str(fault) for fault in rule_faults(table, converted)]
    return faults, converted


def _faults_of_names(problem: Problem, table: Table, rows: pa.Table) -> list[str]:
    faults = []
    try:
        check_column_names(problem, table, rows.column_names)
        if table.name == problem.spine.table:
            check_label(problem, rows)
    except HeadraceError as error:
        faults.append(str(error))
    return faults


def _column_faults(problem: Problem, table: Table, rows: pa.Table) -> list[str]:
    """Convert each column alone, as a table of the keys and it, and return the faults of all."""
    if len(set(rows.column_names)) < len(rows.column_names) or rows.num_rows == 0:
        return []
    needed = table.named_columns
    if any(name not in rows.column_names for name in needed):
        return []
    ignored, required = ignored_columns(problem, table), required_columns(problem, table.name)
    errors = [column_error(table, rows, name) for name in rows.column_names if name not in ignored or name in required]
    return [str(error) for error in errors if error is not None]


def column_error(table: Table, rows: pa.Table, name: str) -> DataError | None:
    """What is wrong with the values of one column under its role and bounds; None where nothing is."""
    try:
        conform(_single_column(table, name), _numbered(rows.select([name])))
    except DataError as error:
        return error
    return None


#: Row numbers, as a key that no table has: names that begin with _ are kept for Headrace.
_ROW = "row number of check"


def _single_column(table: Table, name: str) -> Table:
    """The declaration of one column: its role, bounds and time format."""
    read_as_time = name in table.time_columns
    return Table(
        name=table.name,
        key=_ROW,
        source="-",
        time=name if read_as_time else None,
        resolution=table.resolution,
        tz=table.tz,
        roles={name: table.roles[name]} if name in table.roles else {},
        bounds={name: table.bounds[name]} if name in table.bounds else {},
    )


def _numbered(column: pa.Table) -> pa.Table:
    return column.append_column(_ROW, pa.array(range(column.num_rows), pa.int64()))


def rule_faults(table: Table, rows: pa.Table) -> list[DataError]:
    """Return what the rules of a batch would refuse: null keys and times, values out of bounds, odd booleans."""
    row_known = table.row_known
    times = [name for name in (table.time, row_known.column if row_known else None) if name is not None]
    needed = {**dict.fromkeys(times, "time"), **dict.fromkeys(table.keys, "key")}
    faults: list[DataError | None] = [
        _nulls(table, name, what, rows) for name, what in needed.items() if rows[name].null_count
    ]
    faults += [_outside(table, name, rows) for name in table.bounds if name in rows.column_names]
    faults += [
        _odd_boolean(table, name, rows)
        for name, role in table.roles.items()
        if role == "boolean" and name in rows.column_names
    ]
    return [fault for fault in faults if fault is not None]


def _nulls(table: Table, name: str, what: str, rows: pa.Table) -> DataError:
    is_null = rows[name].is_null()
    count, first = rows[name].null_count, pc.index(is_null, True).as_py()
    others = {"key": "give each row its key", "time": "give each row its time"}[what]
    return DataError(
        f"{count} of {rows.num_rows} rows have no {what}",
        where=f"{table.name}.{name}, row {first + 1}",
        fix=f"{others}, or leave these rows out of the source",
    )


def _outside(table: Table, name: str, rows: pa.Table) -> DataError | None:
    low, high = table.bounds[name]
    column = rows[name]
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        if pa.types.is_null(column.type):
            return None
        return DataError(f"bounds on a column of {column.type}", where=f"{table.name}.{name}", fix="remove them")
    wrong = pa.chunked_array([pa.repeat(False, rows.num_rows)])
    if low is not None:
        wrong = pc.or_(wrong, pc.fill_null(pc.less(column, low), False))
    if high is not None:
        wrong = pc.or_(wrong, pc.fill_null(pc.greater(column, high), False))
    outside = rows.filter(wrong)
    if not outside.num_rows:
        return None
    shown = [f"{outside[name][i].as_py():g} ({_key(table, outside, i)})" for i in range(min(3, outside.num_rows))]
    limits = f"[{'no limit' if low is None else f'{low:g}'}, {'no limit' if high is None else f'{high:g}'}]"
    return DataError(
        f"{outside.num_rows} of {rows.num_rows} values are out of the bounds {limits}",
        where=f"{table.name}.{name}",
        found=shown,
        fix="correct the values, or widen the bounds",
    )


def _key(table: Table, rows: pa.Table, index: int) -> str:
    return ", ".join(map(str, row_keys(rows.slice(index, 1), table.keys)[0]))


def _odd_boolean(table: Table, name: str, rows: pa.Table) -> DataError | None:
    found = pc.unique(rows[name].drop_null()).to_pylist()
    odd = [value for value in found if value not in (0, 1)]
    if not odd:
        return None
    return DataError(
        "something else than true and false", where=f"{table.name}.{name}", found=odd[:3], fix="correct the role"
    )
