"""Check a batch before it is appended: the key of earlier ones, no rows after their batch, a lake of this home."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import iso
from headrace.core.errors import ConflictError, DataError
from headrace.lake.batch import Batch
from headrace.lake.batch_index import SHARED
from headrace.lake.conform import ARRIVAL
from headrace.schema import Table


def check_keys(table: Table, present: Sequence[Batch]) -> None:
    """Raise DataError where earlier batches have another key."""
    if present and present[-1].keys != table.keys:
        raise DataError(
            f"the key was {', '.join(present[-1].keys)} in earlier batches and is {', '.join(table.keys)} now",
            where=table.name,
            fix="declare the key as it was, or give the table a new name",
        )


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
