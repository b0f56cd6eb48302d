"""Check a batch before it is appended: its key, exact numbers, no rows after their batch, a lake of this home."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import iso
from headrace.core.errors import ConflictError, DataError
from headrace.lake.batch import Batch, load_parts, schema
from headrace.lake.batch_index import SHARED
from headrace.lake.conform import ARRIVAL, LARGEST_EXACT
from headrace.schema import Table

#: Rows of a batch that are compared at a time.
_PART_ROWS = 1_000_000


def check_keys(table: Table, present: Sequence[Batch]) -> None:
    """Raise DataError where earlier batches have another key."""
    if present and present[-1].keys != table.keys:
        raise DataError(
            f"the key was {', '.join(present[-1].keys)} in earlier batches and is {', '.join(table.keys)} now",
            where=table.name,
            fix="declare the key as it was, or give the table a new name",
        )


def check_exact(
    table: str, rows: pa.Table, expected: pa.Schema, earlier: Callable[[str], Iterable[tuple[str, pa.Table]]]
) -> None:
    """Raise DataError where a column of int64 becomes one of float64 that cannot hold its values.

    Such rows could be appended and never be read again, because all batches are read as float64.

    Args:
        table: Name of the table, for the error.
        rows: Conformed rows of the batch.
        expected: Schema of all earlier rows.
        earlier: Returns the earlier rows with their batch's id. Argument: the column that is compared.
    """
    for field in rows.schema:
        kind = expected.field(field.name).type if field.name in expected.names else field.type
        if {field.type, kind} != {pa.int64(), pa.float64()}:
            continue
        compared = [("this batch", rows)] if field.type == pa.int64() else earlier(field.name)
        for origin, part in compared:
            inexact = _first_inexact(part, field.name)
            if inexact is not None:
                raise DataError(
                    "whole numbers and numbers with fractions meet, and some are too large for both",
                    where=f"{table}.{field.name}",
                    found=[f"{inexact} in {origin}"],
                    fix="send the column with the type it had, or write it as text under another name",
                )


def rows_with(column: str, batches: Sequence[Batch]) -> Iterator[tuple[str, pa.Table]]:
    """Yield the id and the rows of one column, in parts, of each batch."""
    for batch in batches:
        if column in schema(batch).names:
            yield from ((batch.id, part) for part in load_parts(batch, _PART_ROWS, [column]))


def _first_inexact(rows: pa.Table, name: str) -> int | None:
    """The first whole number that is no float64 for certain; None where there is none."""
    if name not in rows.column_names or rows.schema.field(name).type != pa.int64():
        return None
    column = rows[name]
    beyond = pc.or_(pc.less(column, -LARGEST_EXACT), pc.greater(column, LARGEST_EXACT))
    found = column.filter(beyond)
    return int(found[0].as_py()) if len(found) else None


def check_arrivals(table: Table, rows: pa.Table, arrival_us: int, bootstrap: bool) -> None:
    """Raise DataError where rows with an arrival of their own lack it, or have one after that of their batch."""
    if ARRIVAL not in rows.column_names:
        return
    column = rows.column(ARRIVAL)
    if bootstrap:
        raise DataError(f"a bootstrap load with {ARRIVAL}", where=table.name, fix="drop it: all of it is history")
    if column.null_count:
        raise DataError("rows without an arrival", where=f"{table.name}.{ARRIVAL}", fix="the feed must stamp every row")
    latest = pc.max(column.cast(pa.int64())).as_py()
    if latest is not None and latest > arrival_us:
        raise DataError(
            f"rows arrive after their batch: {iso(latest)} > {iso(arrival_us)}",
            where=f"{table.name}.{ARRIVAL}",
            fix="a batch's arrival is when all of it had come",
        )


def check_own(lake: Path) -> None:
    """Raise ConflictError where a lake's folder is a copy of a shared lake: what is written there, no one else sees."""
    if (lake / SHARED).exists():
        raise ConflictError(
            "is a copy of a shared lake, and HEADRACE_LAKE does not name its store",
            where=str(lake),
            fix=f"set HEADRACE_LAKE, or make it a lake of this home alone: remove {SHARED} and .{SHARED}.copy there",
        )
