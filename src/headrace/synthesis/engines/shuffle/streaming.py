"""The two functions that Spark's workers run: scatter a fragment of a table, and compute the partitions of a task.

Both take and give Arrow batches (`mapInArrow`). What is shuffled is a blob: rows of one table for one partition.

  scatter   fragment                          -> partition, source, blob
  compute   partition, source, blob           -> partition, path of its results

A task gets its blobs batch by batch, and holds one partition in memory. Where batches are sorted by partition, it
carries the present partition's blobs from batch to batch, and computes it when the next one begins. Where the order is
not known (Sail drops the sort before `mapInArrow`), blobs go to files first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from headrace.synthesis.engines.shuffle.partition import ShuffleTask, compute_partition
from headrace.synthesis.engines.shuffle.results import write_results
from headrace.synthesis.engines.shuffle.scatter import QUERY, decode, scatter_queries, scatter_rows
from headrace.synthesis.engines.shuffle.spool import Spool
from headrace.synthesis.history.rows import Sources
from headrace.synthesis.language.parquet_tables import Fragment, ParquetTables

SCATTERED = "partition int, source int, blob binary"
COMPUTED = "partition int, path string"
_SCATTERED = pa.schema([("partition", pa.int32()), ("source", pa.int32()), ("blob", pa.binary())])
_COMPUTED = pa.schema([("partition", pa.int32()), ("path", pa.string())])

Batches = Iterable[pa.RecordBatch]


@dataclass(frozen=True, kw_only=True)
class WorkerJob:
    """What a worker needs to take part in one entity's computation.

    Attributes:
        task: of the entity.
        fragments: the parts of all sources, each with the number of its source.
        tables: the files of the replicated tables.
        folder: for results, reached by all workers.
    """

    task: ShuffleTask
    fragments: tuple[tuple[int, Fragment], ...]
    tables: ParquetTables
    folder: Path


def scatter_fragments(job: WorkerJob) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """The function that reads fragments, by their numbers, and scatters their rows."""

    def scatter(batches: Batches) -> Iterator[pa.RecordBatch]:
        _make_known(job)
        for batch in batches:
            for number in batch.column(0).to_pylist():
                source, fragment = job.fragments[number]
                for partition, blob in _blobs(job.task, source, fragment):
                    yield pa.record_batch([[partition], [source], [blob]], schema=_SCATTERED)

    return scatter


def _blobs(task: ShuffleTask, source: int, fragment: Fragment) -> Iterator[tuple[int, bytes]]:
    route = task.routes[source]
    if route is None:
        queries = fragment.read([*task.plan.join_keys, "tick", QUERY])
        yield from scatter_queries(task.layout, queries, task.plan.join_keys)
        return
    rows = fragment.read(route.columns)
    yield from scatter_rows(task.problem, route, task.layout, task.versions[route.table], rows)


def compute_partitions(job: WorkerJob, *, is_sorted: bool) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """The function that computes the partitions whose blobs come to a task.

    Args:
        job: of the entity.
        is_sorted: whether the blobs come partition by partition.
    """

    def compute(batches: Batches) -> Iterator[pa.RecordBatch]:
        _make_known(job)
        replicated = Sources(job.task.problem, job.tables)
        partitions = _sorted_partitions(batches) if is_sorted else _spooled_partitions(batches)
        for partition, blobs in partitions:
            path = _compute(job, partition, blobs, replicated)
            if path is not None:
                yield pa.record_batch([[partition], [str(path)]], schema=_COMPUTED)

    return compute


def _compute(job: WorkerJob, partition: int, blobs: Iterable[tuple[int, bytes]], replicated: Sources) -> Path | None:
    parts: dict[str, list[pa.Table]] = {}
    for source, blob in blobs:
        parts.setdefault(job.task.source_name(source), []).append(decode(blob))
    if not parts.get(""):
        return None
    rows, columns = compute_partition(job.task, partition, parts, replicated, threads=1)
    path = job.folder / f"{partition}.arrow"
    write_results(path, rows, columns, job.task.slab_rows)
    return path


def _sorted_partitions(batches: Batches) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """Partition by partition, with their blobs.

    Raises:
        AssertionError: the batches are not sorted by partition; a partition computed from some of its rows would be
            wrong.
    """
    current, seen = -1, set[int]()
    blobs: list[tuple[int, bytes]] = []
    for partition, source, blob in _rows(batches):
        if partition != current:
            if blobs:
                yield current, blobs
            if partition in seen:
                raise AssertionError(f"blobs of partition {partition} come after those of others: they are not sorted")
            current, blobs = partition, []
            seen.add(partition)
        blobs.append((source, blob))
    if blobs:
        yield current, blobs


def _spooled_partitions(batches: Batches) -> Iterator[tuple[int, Iterator[tuple[int, bytes]]]]:
    """Partition by partition, whatever the order of the batches, by way of files."""
    with tempfile.TemporaryDirectory() as name:
        spool = Spool(Path(name))
        for partition, source, blob in _rows(batches):
            spool.append(partition, source, blob)
        for partition in spool.partitions():
            yield partition, spool.take(partition)


def _rows(batches: Batches) -> Iterator[tuple[int, int, bytes]]:
    for batch in batches:
        for at in range(batch.num_rows):
            partition, source, blob = (column[at].as_py() for column in batch.columns)
            yield partition, source, blob


def _make_known(job: WorkerJob) -> None:
    """Make what a problem hands over known to this process."""
    if job.task.handed:
        from headrace.problems.catalogue import restore

        restore(job.task.handed)
