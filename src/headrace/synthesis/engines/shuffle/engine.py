"""The partitioned engine: rows and queries are scattered to files by key, then computed partition by partition.

Only one partition for each thread is in memory, and the tables that stacked features read whole. Tables in files are
read a row group at a time; other tables are in memory already. Values are those of the local engine, bit for bit.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.core.manifest import link_file
from headrace.core.memory import release_unused_memory, resident_bytes
from headrace.schema import Problem
from headrace.synthesis.engines.local import LocalEngine, checked_groups
from headrace.synthesis.engines.memory.budget import RESERVE
from headrace.synthesis.engines.memory.estimate import result_bytes
from headrace.synthesis.engines.shuffle.partition import ShuffleTask, compute_partition
from headrace.synthesis.engines.shuffle.prepare import prepare, query_table
from headrace.synthesis.engines.shuffle.results import read_slabs, write_results
from headrace.synthesis.engines.shuffle.scatter import ROWS_AT_ONCE, decode, scatter_queries, scatter_rows
from headrace.synthesis.engines.shuffle.spool import Spool
from headrace.synthesis.history.rows import Sources
from headrace.synthesis.language.definitions import Stored
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import (
    ParquetTables,
    StreamedTables,
    TablesInFiles,
    is_large,
    read_in_parts,
    store_tables,
)
from headrace.synthesis.planning.plan import Group, declared_tables

#: Bytes of a partition where no limit is set.
PARTITION_BYTES = 512_000_000
#: A partition may take this many times its estimate; a slab so many times its values.
_ESTIMATE_ERROR, _SLAB_COPIES = 1.5, 5.0
#: Bytes that reading and scattering a part of a table takes.
_SCATTER_BYTES = 300_000_000


@dataclass(frozen=True, kw_only=True)
class ShuffleEngine(ABC):
    """What engines over partitions share; they differ in where partitions are computed (`run`).

    Attributes:
        threads: partitions that are computed at a time on this machine.
        max_memory: bytes that a process may hold in all; None: partitions of `PARTITION_BYTES`.
        min_rows: where the tables and the queries have fewer rows together, they are computed in this process.
        max_replicated: bytes of the tables that stacked features may read whole.
        partition_bytes: of a partition, in place of what `max_memory` allows.
        progress: called with a line of text now and then.
    """

    threads: int = 2
    max_memory: int | None = None
    min_rows: int = 1_000_000
    max_replicated: int = 1_000_000_000
    partition_bytes: int | None = None
    progress: Callable[[str], None] | None = None

    @abstractmethod
    def run(self, task: ShuffleTask, keys: pa.Table, tables: StreamedTables, folder: Path) -> list[Path]:
        """Compute one entity; returns the files of results.

        Args:
            task: the entity's computation.
            keys: the queries.
            tables: the rows.
            folder: an empty folder for files of the computation.
        """

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """See `language.engine.Engine`."""
        if not definitions or self._is_small(problem, definitions, keys, snapshot):
            return self._local.compute(problem, definitions, keys, snapshot)
        with tempfile.TemporaryDirectory(dir=self.staging) as name:
            slabs = list(self._slabs(problem, definitions, keys, snapshot, keys.num_rows, Path(name)))
        return pa.concat_tables(slabs).combine_chunks()

    def fits(
        self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables, row_bytes: float
    ) -> bool:
        """Whether everything is computed in this process. See `language.engine.PartitionedEngine`."""
        return not definitions or self._is_small(problem, definitions, keys, snapshot)

    def slabs(
        self,
        problem: Problem,
        definitions: Sequence[Stored],
        keys: pa.Table,
        snapshot: Tables,
        row_bytes: float,
        folder: Path,
    ) -> Iterator[pa.Table]:
        """The values, slab by slab. See `language.engine.PartitionedEngine`."""
        groups = checked_groups(problem, definitions, keys, _schemas(snapshot))
        per_row = max(result_bytes(groups) + row_bytes, 8.0)
        slab_rows = int(np.clip(self._free_bytes() / (_SLAB_COPIES * per_row), 1_000, max(keys.num_rows, 1_000)))
        yield from self._slabs(problem, definitions, keys, snapshot, slab_rows, folder)

    @property
    def staging(self) -> Path | None:
        """Where files of a computation lie that all workers read and write; None: this machine's temporary folder."""
        return None

    @property
    def _local(self) -> LocalEngine:
        return LocalEngine(threads=self.threads, progress=self.progress)

    def _is_small(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> bool:
        if isinstance(snapshot, StreamedTables) or keys.num_rows >= self.min_rows:
            return not keys.num_rows
        names = declared_tables(problem, checked_groups(problem, definitions, keys, _schemas(snapshot)))
        if any(is_large(snapshot, name) for name in names):
            return not keys.num_rows
        return not keys.num_rows or sum(snapshot.table(name).num_rows for name in names) + keys.num_rows < self.min_rows

    def _slabs(
        self,
        problem: Problem,
        definitions: Sequence[Stored],
        keys: pa.Table,
        snapshot: Tables,
        slab_rows: int,
        folder: Path,
    ) -> Iterator[pa.Table]:
        groups = checked_groups(problem, definitions, keys, _schemas(snapshot))
        tables = self._streamed(problem, groups, snapshot, folder)
        entities: dict[tuple[str, ...], list[Group]] = {}
        for group in groups:
            entities.setdefault(group.join_keys, []).append(group)
        files = []
        for number, members in enumerate(entities.values()):
            task = prepare(
                problem, members, keys, tables, partition_bytes=self._partition_bytes(),
                max_replicated=self.max_replicated, slab_rows=slab_rows,
            )  # fmt: skip
            self._require_room(task)
            own = folder / f"entity-{number}"
            own.mkdir()
            files.append(self.run(task, keys, tables, own))
            release_unused_memory()
        names = [definition.slug for definition in definitions]
        for slab in read_slabs(files, keys.num_rows, slab_rows):
            release_unused_memory()
            yield slab.select(names)

    def _streamed(self, problem: Problem, groups: Sequence[Group], snapshot: Tables, folder: Path) -> StreamedTables:
        """The tables, in fragments; those of a snapshot in memory are written to files first."""
        if isinstance(snapshot, StreamedTables):
            return snapshot
        names = declared_tables(problem, groups)
        large = [name for name in names if is_large(snapshot, name)]
        small = store_tables(snapshot, [name for name in names if name not in large], folder)
        if not large or not isinstance(snapshot, TablesInFiles):
            return small
        return ParquetTables({**small.paths, **{name: self._reached(snapshot.files(name), folder) for name in large}})

    def _reached(self, paths: Sequence[Path], folder: Path) -> tuple[Path, ...]:
        """Files of a table where all workers can read them."""
        if self.staging is None:
            return tuple(paths)
        reached = tuple(folder / f"{path.parent.parent.name}-{path.name}" for path in paths)
        for path, copy in zip(paths, reached, strict=True):
            link_file(path, copy)
        return reached

    def _free_bytes(self) -> float:
        release_unused_memory()
        if self.max_memory is None:
            return float(PARTITION_BYTES * self.threads)
        return max(float(self.max_memory - resident_bytes() - RESERVE), 0.0)

    def _partition_bytes(self) -> float:
        if self.partition_bytes is not None:
            return float(self.partition_bytes)
        if self.max_memory is None:
            return float(PARTITION_BYTES)
        return max((self._free_bytes() - _SCATTER_BYTES) / (self.threads * _ESTIMATE_ERROR), 1.0)

    def _require_room(self, task: ShuffleTask) -> None:
        """Refuse a limit below which the largest partition does not fit."""
        if self.max_memory is None:
            return
        needed = float(task.layout.bytes.max(initial=0.0)) * _ESTIMATE_ERROR
        if needed > self._free_bytes():
            enough = (needed + self.max_memory - self._free_bytes()) / 1e6
            raise DataError(
                f"max_memory of {self.max_memory / 1e6:,.0f} MB is not enough: the rows of the most frequent key of "
                f"{', '.join(task.plan.join_keys)}, which cannot be divided, take about {needed / 1e6:,.0f} MB",
                where=task.problem.name,
                fix=f"give at least {enough * 1.05:,.0f} MB, or use features with lookbacks only",
                enough_mb=enough,
            )


@dataclass(frozen=True, kw_only=True)
class PartitionedLocalEngine(ShuffleEngine):
    """Computes on this machine, over files of its own."""

    name: str = "partitioned"

    def run(self, task: ShuffleTask, keys: pa.Table, tables: StreamedTables, folder: Path) -> list[Path]:
        """See `ShuffleEngine.run`."""
        spool = Spool(folder / "rows")
        queries = query_table(task.plan, keys)
        for start in range(0, queries.num_rows, ROWS_AT_ONCE):
            part = queries.slice(start, ROWS_AT_ONCE)
            for partition, blob in scatter_queries(task.layout, part, task.plan.join_keys):
                spool.append(partition, 0, blob)
        for source, route in enumerate(task.plan.routes, 1):
            for rows in read_in_parts(tables, route.table, route.columns):
                for start in range(0, rows.num_rows, ROWS_AT_ONCE):
                    part = rows.slice(start, ROWS_AT_ONCE)
                    versions = task.versions[route.table]
                    for partition, blob in scatter_rows(task.problem, route, task.layout, versions, part):
                        spool.append(partition, source, blob)
        replicated = Sources(task.problem, tables)
        threads = self.threads
        if self.max_memory is not None and len(task.layout.bytes):  # as many at a time as fit
            fitting = self._free_bytes() // max(float(task.layout.bytes.max()) * _ESTIMATE_ERROR, 1.0)
            threads = int(np.clip(fitting, 1, self.threads))

        def compute(partition: int) -> Path | None:
            return compute_spooled(task, partition, spool, replicated, folder)

        done: list[Path] = []
        with ThreadPoolExecutor(threads) as pool:
            for number, path in enumerate(pool.map(compute, range(task.layout.partitions)), 1):
                if path is not None:
                    done.append(path)
                if self.progress is not None:
                    self.progress(f"{', '.join(task.plan.join_keys)}: {number} of {task.layout.partitions} partitions")
        return done


class _Schemas:
    """Empty tables, for checks that look at columns only."""

    def __init__(self, tables: StreamedTables | TablesInFiles) -> None:
        self._tables = tables

    def table(self, name: str) -> pa.Table:
        """No rows, with the columns of the table."""
        return self._tables.schema(name).empty_table()


def _schemas(snapshot: Tables) -> Tables:
    return _Schemas(snapshot) if isinstance(snapshot, StreamedTables | TablesInFiles) else snapshot


def compute_spooled(task: ShuffleTask, partition: int, spool: Spool, replicated: Sources, folder: Path) -> Path | None:
    """Compute one partition from its spooled rows and write its results; None where it has no queries."""
    parts: dict[str, list[pa.Table]] = {}
    for source, blob in spool.take(partition):
        parts.setdefault(task.source_name(source), []).append(decode(blob))
    if not parts.get(""):
        return None
    rows, columns = compute_partition(task, partition, parts, replicated, threads=1)
    path = folder / f"{partition}.arrow"
    write_results(path, rows, columns, task.slab_rows)
    del parts, columns
    release_unused_memory()
    return path
