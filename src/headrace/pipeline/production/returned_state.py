"""Name the load of a whole table whose rows are again those of an older load, so that they become versions again.

The lake knows equal rows by their digest and appends them once, so that a load can be repeated. A small table whose
values went from A to B and back to A would stay at B.
"""

from __future__ import annotations

import pyarrow as pa

from headrace.lake.batch import content
from headrace.lake.store import Lake
from headrace.schema import Table

_RETURNED = "returned after "


def source_of_state(lake: Lake, table: Table, rows: pa.Table) -> str:
    """Return what delivers these rows, for `Lake.append`; empty unless they are those of an older load.

    Args:
        lake: The lake.
        table: The declaration.
        rows: All rows of its source, converted.
    """
    known = lake.batches(table.name)
    if len(known) < 2 or any(batch.source and not batch.source.startswith(_RETURNED) for batch in known):
        return ""  # batches that other deliverers brought may be newer than what the source holds
    last = known[-1]
    if content(rows, table.keys, table.name, last.source).digest == last.digest:
        return last.source
    digest = content(rows, table.keys, table.name, "").digest
    return f"{_RETURNED}{last.id}" if any(batch.digest == digest for batch in known) else ""
