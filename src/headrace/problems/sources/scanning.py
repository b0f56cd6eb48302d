"""Yield the rows of a dataset (Parquet files, a Delta table) in record batches, a row group in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.dataset as ds

from headrace.problems.sources.interface import BATCH_ROWS, Since


def scan(dataset: ds.Dataset, since: Since | None) -> Iterator[pa.RecordBatch]:
    """Yield the rows in the order of the files; with `since`, without files and row groups of older rows alone."""
    bound = None
    if since is not None and since.column in dataset.schema.names:
        kind = dataset.schema.field(since.column).type
        value = since.bound(kind)
        bound = None if value is None else ds.field(since.column) >= pa.scalar(value).cast(kind)
    # A scanner of the whole dataset decodes many row groups ahead of its reader; these are read one after the other.
    for fragment in dataset.get_fragments(bound):
        for part in fragment.split_by_row_group(bound, dataset.schema) if _has_row_groups(fragment) else [fragment]:
            scanner = part.scanner(
                schema=dataset.schema, filter=bound, batch_size=BATCH_ROWS, batch_readahead=2, cache_metadata=False
            )
            yield from scanner.to_batches()


def _has_row_groups(fragment: ds.Fragment) -> bool:
    return isinstance(fragment, ds.ParquetFileFragment)
