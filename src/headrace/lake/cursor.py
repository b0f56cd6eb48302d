"""The end of a table's cursor in the lake, and the rows of a source that lie beyond it.

A cursor is a column whose values grow from batch to batch. Rows at its largest value are read again, because others may
have been written in the same second; those that the lake has are then left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import from_us, to_us
from headrace.core.errors import DataError, NotFoundError
from headrace.core.replicas import read_replicas
from headrace.lake.batch import load
from headrace.lake.store import Lake
from headrace.problems.sources.interface import Since
from headrace.schema import Table


def newest(lake: Lake, table: Table) -> Since | None:
    """Return where a source is to be read from: the cursor's end when it was last read to its end.

    The end is recorded after the last batch of a load, so a killed load is read again. Where the lake ends earlier (a
    backup was restored), its own end counts.

    Returns:
        None where the table declares no cursor, another one than before, or none of its loads was completed.
    """
    if table.cursor is None:
        return None
    try:
        recorded = read_replicas(lake.cursor_path(table.name))
    except NotFoundError:
        return None
    if recorded.get("column") != table.cursor:  # of another column, or the position of a change feed
        return None
    ends = [_end(load(batch, columns=(table.cursor,)), table.cursor) for batch in lake.batches(table.name)]
    known = [end for end in ends if end is not None]
    value = _decoded(recorded)
    if not known or type(value) is not type(max(known)):
        return None
    return Since(column=table.cursor, value=min(value, max(known)), tz=table.tz)


def record(lake: Lake, table: Table, end: Any) -> None:
    """Record the cursor's end, after all batches up to it are appended. end: of `cursor_end`; None records nothing."""
    if end is None:
        return
    is_time = isinstance(end, datetime)
    value = {"column": table.cursor, "value": to_us(end) if is_time else end, "kind": "time" if is_time else "plain"}
    lake.record_cursor(table.name, value)


def cursor_end(table: Table, rows: pa.Table) -> Any:
    """The largest value of a table's cursor in conformed rows; None without a cursor or a value."""
    return _end(rows, table.cursor) if table.cursor is not None else None


def beyond(lake: Lake, table: Table, rows: pa.Table, since: Since | None) -> pa.Table:
    """Return the rows that are new.

    Args:
        lake: the lake.
        table: the declaration, with a cursor.
        rows: conformed rows of the source.
        since: the end of the cursor in the lake; None: all rows are new.

    Raises:
        DataError: rows have no value of the cursor, so that nothing tells whether they are new.
    """
    assert table.cursor is not None
    cursor = rows.column(table.cursor)
    if cursor.null_count:
        raise DataError(
            f"{cursor.null_count} rows have no value of the cursor",
            where=f"{table.name}.{table.cursor}",
            fix="give each row one, or name another column as the cursor",
        )
    if since is None:
        return rows
    end = pa.scalar(since.value, cursor.type)
    at_end = rows.filter(pc.equal(cursor, end))
    known = {_identity(row, rows.column_names) for row in _known_at_end(lake, table, end)} if at_end.num_rows else set()
    fresh = [index for index, row in enumerate(at_end.to_pylist()) if _identity(row, rows.column_names) not in known]
    return pa.concat_tables([at_end.take(pa.array(fresh, pa.int64())), rows.filter(pc.greater(cursor, end))])


def _decoded(recorded: Mapping[str, Any]) -> Any:
    value = recorded["value"]
    return from_us(value) if recorded["kind"] == "time" else value


def _end(rows: pa.Table, column: str) -> Any:
    return pc.max(rows.column(column)).as_py() if column in rows.column_names and rows.num_rows else None


def _known_at_end(lake: Lake, table: Table, end: pa.Scalar) -> list[dict[str, Any]]:
    assert table.cursor is not None
    found: list[dict[str, Any]] = []
    for batch in lake.batches(table.name):
        rows = load(batch, columns=(table.cursor,))
        if _end(rows, table.cursor) == end.as_py():
            rows = load(batch)
            found += rows.filter(pc.equal(rows.column(table.cursor), end)).to_pylist()
    return found


def _identity(row: dict[str, Any], names: list[str]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in names)
