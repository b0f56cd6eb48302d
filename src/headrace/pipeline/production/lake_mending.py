"""Write damaged batches of the lake again, from the lake itself or from their source.

Every run and every step of a feed begins with this. A lake cannot be made again as stages can, so all of it is compared
with its checksums, not only what the run reads; on the flights that takes 10 ms.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from headrace.core.errors import DataError, DeclarationError, UnavailableError
from headrace.lake import feed
from headrace.lake.batch import DamagedBatch
from headrace.lake.change_position import range_of
from headrace.lake.repair import DamagedBatchRecord, find_damaged, restore
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.problems.sources.reading import SourceReader
from headrace.schema import Table


def mend_lake(context: Context) -> None:
    """Write the lake's damaged batches again, and report each.

    Raises:
        DamagedBatch: the rows of one are neither in the lake nor at its source.
    """
    lake = Lake(context.root, context.problem.name)
    for one in find_damaged(lake):
        if restore(lake, one):
            how = "it was fetched again" if lake.is_shared else "its rows are whole, and it was written again"
        elif any(restore(lake, one, table, rows) for table, rows in _sources(context, one)):
            how = "it was brought in again from its source"
        else:
            raise _beyond_repair(lake, one)
        context.progress.damage(f"{one.folder}: {one.error.what}; {how}")


def _sources(context: Context, one: DamagedBatchRecord) -> Iterator[tuple[Table, pa.Table]]:
    """The rows that a batch may have been made from: a step of the feed, a range of changes, or a whole source."""
    problem, facts = context.problem, one.facts
    if facts is None:
        return
    table = problem.entity_set.table(one.table)
    try:
        span = range_of(facts["source"])
        if span is not None:
            reader = SourceReader.of(problem)
            changes = reader.changes(table)
            if changes is not None:
                yield from ((table, chunk) for chunk in reader.changed_chunks(table, changes, span))
        elif problem.feed is None:
            yield from ((table, chunk) for chunk in SourceReader.of(problem).chunks(table))
        elif facts["bootstrap"]:
            yield table, feed.bootstrap(problem)[one.table]
        else:
            found = feed.step(problem, facts["arrival_us"] - problem.feed.step_us, facts["arrival_us"])
            yield from ((table, rows) for name, rows in found.items() if name == one.table)
    except (DataError, UnavailableError, DeclarationError):  # the source is gone, or another
        return


def _beyond_repair(lake: Lake, one: DamagedBatchRecord) -> DamagedBatch:
    abandoned = lake.folder / "given-up" / one.table / one.folder.name
    return DamagedBatch(
        one.error.what,
        where=str(one.folder),
        found=["its source does not give the same rows any more"],
        fix=f"bring the folder back from a backup, or go on without it: mkdir -p {abandoned}",
        folder=one.folder,
    )
