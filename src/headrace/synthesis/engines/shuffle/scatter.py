"""Send the rows of a table, and the queries, to the partitions that need them, as blobs of Arrow's stream format.

A blob holds rows of one table for one partition. Arrow's own bytes keep every type and every bit, whatever carries them
(a file of this machine, or a binary column of Spark).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.schema import Problem
from headrace.synthesis.engines.shuffle.layout import Layout, Pairs, unique_pairs
from headrace.synthesis.engines.shuffle.routes import Route
from headrace.synthesis.history.key_hash import BUCKETS, Hashes, buckets, key_hashes
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.language.values import Floats, Ints

#: The row number of a query, among the columns of the queries.
QUERY = "_query"
#: Rows that are sent at a time.
ROWS_AT_ONCE = 500_000


@dataclass(frozen=True, kw_only=True)
class VersionPairs:
    """Where rows with several versions go: all versions to every partition that needs one of them.

    Attributes:
        hashes: of the rows' primary keys, ascending [n].
        partition: that each goes to [n].
    """

    hashes: Hashes
    partition: Ints

    def find(self, hashes: Hashes) -> Pairs:
        """The pairs of some rows [m]; none of a row with one version."""
        low, high = (np.searchsorted(self.hashes, hashes, side) for side in ("left", "right"))
        counts = high - low
        at = np.repeat(np.arange(len(hashes)), counts)
        inside = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
        return at, self.partition[low[at] + inside]


NO_VERSIONS = VersionPairs(hashes=np.empty(0, dtype=np.uint64), partition=np.empty(0, dtype=np.int64))


def row_pairs(problem: Problem, route: Route, layout: Layout, rows: pa.Table) -> Pairs:
    """Which rows of a part of a table go to which partitions, by their own keys and known times."""
    table = problem.entity_set.table(route.table)
    if (layout.slices > 1).any():
        known = [effective_known(table, clock, rows) for clock in route.clocks]
        earliest, latest = np.minimum.reduce(known), np.maximum.reduce(known)
    else:
        earliest = latest = np.zeros(rows.num_rows, dtype=np.int64)
    parts = [
        layout.row_partitions(
            buckets(key_hashes([rows[column] for column in keys])), earliest, latest, route.lookback_us
        )
        for keys in route.keys
    ]
    return parts[0] if len(parts) == 1 else unique_pairs(parts)


def scatter_rows(
    problem: Problem, route: Route, layout: Layout, versions: VersionPairs, rows: pa.Table
) -> Iterator[tuple[int, bytes]]:
    """Partition -> blob, for a part of a table."""
    pairs = row_pairs(problem, route, layout, rows)
    if len(versions.hashes):
        primary = key_hashes([rows[column] for column in route.primary])
        pairs = unique_pairs([pairs, versions.find(primary)])
    yield from _split(rows, pairs)


def scatter_queries(layout: Layout, queries: pa.Table, join_keys: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Partition -> blob, for some queries with their row numbers (`QUERY`)."""
    bucket = buckets(key_hashes([queries[name] for name in join_keys]))
    ticks = np.asarray(queries["tick"].to_numpy(), dtype=np.int64)
    yield from _split(queries, layout.query_partitions(bucket, ticks))


def count_rows(route: Route, rows: pa.Table) -> Floats:
    """How many rows of a part of a table each bucket needs [buckets]."""
    counts = [
        np.bincount(buckets(key_hashes([rows[column] for column in keys])), minlength=BUCKETS) for keys in route.keys
    ]
    return np.asarray(np.sum(counts, axis=0), dtype=np.float64)


def encode(rows: pa.Table) -> bytes:
    """Rows as one blob."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def decode(blob: bytes | pa.Buffer) -> pa.Table:
    """The rows of a blob."""
    return pa.ipc.open_stream(blob).read_all()


def _split(rows: pa.Table, pairs: Pairs) -> Iterator[tuple[int, bytes]]:
    at, partition = pairs
    order = np.lexsort((at, partition))
    at, partition = at[order], partition[order]
    sorted_rows = rows.take(pa.array(at))
    edges = np.flatnonzero(np.diff(partition)) + 1
    for low, high in zip([0, *edges.tolist()], [*edges.tolist(), len(at)], strict=True):
        if high > low:
            yield int(partition[low]), encode(sorted_rows.slice(low, high - low).combine_chunks())
