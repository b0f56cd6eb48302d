"""Name the load of a whole table whose rows are again those of an older load, so that they become versions again.

The lake knows equal rows by their digest and appends them once, so that a load can be repeated. A table whose values
went from A to B and back to A would stay at B. Of a table of several chunks, the chunks are named that have a key of a
later batch of other rows: the others are in the lake as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import pyarrow as pa

from headrace.lake.batch import Batch, content, load
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
    if len(known) < 2 or _has_other_deliverers(known):
        return ""
    last = known[-1]
    if content(rows, table.keys, table.name, last.source).digest == last.digest:
        return last.source
    digest = content(rows, table.keys, table.name, "").digest
    return f"{_RETURNED}{last.id}" if any(batch.digest == digest for batch in known) else ""


def sources_of_chunks(
    known: Sequence[Batch],
    table: Table,
    chunks: Iterable[pa.Table],
    chunks_with_keys_of: Callable[[pa.Table], Collection[int]],
) -> list[str]:
    """Return what delivers each chunk, for `Lake.append`; empty for a chunk that is new.

    Args:
        known: All batches of the table, in their order.
        table: The declaration.
        chunks: All rows of its source, converted. No two of them have a key in common.
        chunks_with_keys_of: Returns the positions of the chunks that have a key of other rows.
    """
    equal = [None if _has_other_deliverers(known) else _newest_equal(known, table, chunk) for chunk in chunks]
    places = {place for place in equal if place is not None}
    superseded: set[int] = set()
    for later in range(min(places, default=len(known)), len(known)):
        if later not in places:  # equal to a chunk, it shares no key with the others
            keys = load(known[later], columns=table.keys)
            positions = chunks_with_keys_of(keys) if keys.num_rows else ()
            superseded |= {at for at in positions if (place := equal[at]) is not None and place < later}
    sources = ["" if place is None else known[place].source for place in equal]
    for at in superseded:
        sources[at] = f"{_RETURNED}{known[-1].id}, part {at + 1}"
    return sources


def _has_other_deliverers(known: Sequence[Batch]) -> bool:
    """Whether other deliverers brought batches: they may be newer than what the source holds."""
    return any(batch.source and not batch.source.startswith(_RETURNED) for batch in known)


def _newest_equal(known: Sequence[Batch], table: Table, rows: pa.Table) -> int | None:
    """Return the position of the last batch of exactly these rows; None where there is none."""
    digests = {"": content(rows, table.keys, table.name, "").digest}
    if all(batch.digest != digests[""] for batch in known):
        return None  # what has returned was there before, without a source
    for position in reversed(range(len(known))):
        batch = known[position]
        if batch.rows == rows.num_rows:
            if batch.source not in digests:
                digests[batch.source] = content(rows, table.keys, table.name, batch.source).digest
            if batch.digest == digests[batch.source]:
                return position
    return None
