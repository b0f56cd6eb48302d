"""Load a table from its source into the lake, in chunks: read, convert and validate all of them, then append.

A chunk is a batch of the lake. Chunks wait on disk until the whole source is read, so nothing of a source is appended
that changed meanwhile, broke off, or has a chunk that is refused. A source that fits in one chunk waits in memory.

    lake/<problem>/incoming/<table>/<load>/<number>.parquet    removed when the load ends, or before the next
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core import parquet
from headrace.core.clock import BEFORE_ALL
from headrace.core.errors import DataError
from headrace.core.memory import current_limit, release_unused_memory, resident_bytes
from headrace.lake.append_checks import check_exact, rows_with
from headrace.lake.batch import Batch
from headrace.lake.change_position import batch_source, range_of, record_position, without_loaded
from headrace.lake.conform import ARRIVAL
from headrace.lake.cursor import beyond, cursor_end, record
from headrace.lake.keys import row_keys
from headrace.lake.store import Lake
from headrace.lake.table_schema import unify
from headrace.pipeline.production.intake import (
    IngestedBatch,
    Refusal,
    append_batch,
    checked_batch,
    history_end,
    quarantine_batch,
)
from headrace.pipeline.production.returned_state import source_of_state, sources_of_chunks
from headrace.problems.sources.feeds.feed import ChangeRange
from headrace.problems.sources.interface import Since
from headrace.schema import Problem, Table

Digests = npt.NDArray[np.uint64]

_INCOMING = "incoming"
#: A chunk is in memory so many times while it is brought into the lake, besides the one that was read.
_CHUNK_COPIES = 4.0


@dataclass(kw_only=True)
class Load:
    """What was read of one table's source, converted and validated, and is not in the lake yet.

    Attributes:
        table: the declaration.
        rows: how many rows there are.
        end_us: the first instant at which everything in them was known; BEFORE_ALL where nothing tells.
        cursor: the largest value of the table's cursor in them; None without one.
        changes: the range of a change feed that they are; None where they are not.
        arrived_us: the last instant at which a row says that it arrived; BEFORE_ALL where none says it.
        refused: the chunk that is wrong; nothing of the load is then appended.
    """

    table: Table
    folder: Path
    rows: int = 0
    end_us: int = BEFORE_ALL
    cursor: Any = None
    changes: ChangeRange | None = None
    arrived_us: int = BEFORE_ALL
    refused: Refusal | None = None
    _single: pa.Table | None = None
    _files: int = 0
    _earlier: tuple[Batch, ...] = ()
    _spans: list[tuple[int, int] | None] = field(default_factory=list)
    _digests: dict[int, Digests] = field(default_factory=dict)

    def add(self, problem: Problem, rows: pa.Table) -> None:
        """Keep a chunk: the first one in memory, on disk from the second on."""
        self._spans.append(_key_span(rows, self.table))
        if self._single is None and not self._files:
            self._single = rows
        else:
            if not self._files:
                _require_room(self.table, rows)
            for chunk in [rows] if self._single is None else [self._single, rows]:
                self.folder.mkdir(parents=True, exist_ok=True)
                parquet.write(chunk, self.folder / f"{self._files:06d}.parquet")
                self._files += 1
            self._single = None
        self.rows += rows.num_rows
        ends = [end for end in (self.cursor, cursor_end(self.table, rows)) if end is not None]
        self.cursor = max(ends, default=None)
        self.end_us = max(self.end_us, history_end(problem, {self.table.name: rows}))
        if ARRIVAL in rows.column_names and rows.num_rows:
            self.arrived_us = max(self.arrived_us, int(pc.max(rows[ARRIVAL].cast(pa.int64())).as_py()))

    def chunks(self) -> Iterator[pa.Table]:
        """Yield the chunks in the order of the source."""
        if self._single is not None:
            yield self._single
        for number in range(self._files):
            yield parquet.read(self.folder / f"{number:06d}.parquet")

    def rows_before(self, lake: Lake) -> Callable[[str], Iterator[tuple[str, pa.Table]]]:
        """Return what yields the rows of a column in the lake and in the chunks, for `check_exact`."""

        def rows(column: str) -> Iterator[tuple[str, pa.Table]]:
            yield from rows_with(column, lake.batches(self.table.name))
            yield from ((f"chunk {number}", chunk) for number, chunk in enumerate(self.chunks(), start=1))

        return rows

    def sources(self, lake: Lake) -> list[str]:
        """Return what delivered each chunk, for its batch: its part of a range of changes, a state that returned, or
        nothing.
        """
        earlier, own = len(self._earlier), self._files or int(self._single is not None)
        if self.changes is not None:
            return [batch_source(self.changes, earlier + part + 1, earlier + own) for part in range(own)]
        known = lake.batches(self.table.name)
        if self.table.cursor is not None or not known:
            return [""] * own
        if self._single is not None:
            return [source_of_state(lake, self.table, self._single)]
        return sources_of_chunks(known, self.table, self.chunks(), self._chunks_with_keys_of)

    def _chunks_with_keys_of(self, rows: pa.Table) -> list[int]:
        """Return the numbers of the chunks that have a key of some rows."""
        span = _key_span(rows, self.table)
        near = [
            number
            for number, other in enumerate(self._spans)
            if span is None or other is None or not _are_apart(span, other)
        ]
        digests = _key_digests(rows, self.table) if near else np.empty(0, dtype=np.uint64)
        return [number for number in near if _have_common(digests, self._chunk_digests(number))]

    def require_new_keys(self, rows: pa.Table) -> None:
        """Raise DataError where an earlier chunk has one of the keys.

        Where keys are whole numbers, only chunks with keys of the same span are compared: those of a source in the
        order of its key never are. Digests of keys that are compared are kept, 8 bytes a row.
        """
        span = _key_span(rows, self.table)
        digests: Digests | None = None
        with_common: list[int] = []
        for number, other in enumerate(self._spans):
            if not rows.num_rows or (span is not None and other is not None and _are_apart(span, other)):
                continue
            digests = _key_digests(rows, self.table) if digests is None else digests
            if _have_common(digests, self._chunk_digests(number)):
                with_common.append(number)
        if with_common:
            earlier = np.concatenate([self._chunk_digests(number) for number in with_common])
            again = rows.filter(pa.array(np.isin(_row_digests(rows, self.table), earlier)))
            raise DataError(
                f"{again.num_rows} duplicate keys ({', '.join(self.table.keys)})",
                where=self.table.name,
                found=[", ".join(map(str, key)) for key in row_keys(again.slice(0, 5), self.table.keys)],
                fix="a source may hold a key once; send a correction later, or add a column to the key",
            )
        if digests is not None:
            self._digests[len(self._spans)] = digests

    def _chunk_digests(self, number: int) -> Digests:
        """The digests of a chunk's keys, computed at first use."""
        if number not in self._digests:
            keys = self._single
            if keys is None:
                path = self.folder / f"{number:06d}.parquet"
                columns = [*self.table.keys, *([ARRIVAL] if ARRIVAL in parquet.read_schema(path).names else [])]
                keys = parquet.read(path, columns=columns)
            self._digests[number] = _key_digests(keys, self.table)
        return self._digests[number]


@contextmanager
def prepared(
    problem: Problem,
    root: Path,
    table: Table,
    chunks: Iterable[pa.Table],
    since: Since | None = None,
    *,
    changes: ChangeRange | None = None,
    parts: tuple[Batch, ...] = (),
) -> Iterator[Load]:
    """Read, convert and validate the rows of a source; what waits on disk is removed at the end.

    Args:
        problem: the declaration.
        root: the home folder.
        table: the table.
        chunks: the rows of its source.
        since: the end of the table's cursor in the lake; earlier rows are left out.
        changes: the range of a change feed that the rows are; None where they are not.
        parts: batches of this range that a killed load left; their rows are left out.

    Raises:
        DataError: the source cannot be read, or changed while it was read.
    """
    lake = Lake(root, problem.name)
    folder = lake.folder / _INCOMING / table.name / uuid.uuid4().hex  # another load may wait beside it
    load = Load(table=table, folder=folder, changes=changes, _earlier=parts)
    expected, is_known = lake.schema(table.name), any(batch.rows for batch in lake.batches(table.name))
    try:
        for rows in chunks:
            if is_known and not rows.num_rows:  # nothing new is no batch; an empty first load is a fault
                continue
            checked = checked_batch(problem, root, table, rows, expected)
            if isinstance(checked, Refusal):
                load.refused = checked
                break
            try:
                fresh = checked if table.cursor is None else beyond(lake, table, checked, since)
                fresh = without_loaded(table, fresh, parts)
                load.require_new_keys(fresh)
                if expected is not None:
                    check_exact(table.name, fresh, expected, load.rows_before(lake))
                expected = unify(table.name, [("the lake", expected or fresh.schema), ("this batch", fresh.schema)])
            except DataError as error:
                load.refused = Refusal.of(table, checked, error)
                break
            if fresh.num_rows or not is_known:
                load.add(problem, fresh)
        yield load
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # there was none, or another load waits there
            folder.parent.rmdir()


def remove_killed(lake: Lake) -> None:
    """Remove what killed loads left on disk. The caller holds the lock of all loads."""
    shutil.rmtree(lake.folder / _INCOMING, ignore_errors=True)


def commit(problem: Problem, root: Path, load: Load, *, arrival_us: int, bootstrap: bool) -> IngestedBatch:
    """Append a load's chunks to the lake, or put the one that is wrong into quarantine."""
    lake = Lake(root, problem.name)
    if load.refused is not None:
        return quarantine_batch(lake, load.refused, arrival_us)
    batches = [
        append_batch(lake, load.table, rows, arrival_us=arrival_us, bootstrap=bootstrap, source=source)
        for rows, source in zip(load.chunks(), load.sources(lake), strict=True)
        if rows.num_rows or bootstrap
    ]
    record(lake, load.table, load.cursor)
    if load.changes is not None:
        record_position(lake, load.table, load.changes.until)
    names = tuple(name for one in batches for name in one.batches)
    return IngestedBatch(table=load.table.name, rows=load.rows, batches=names)


def _require_room(table: Table, chunk: pa.Table) -> None:
    """Raise DataError where a memory limit leaves no room to read, convert, sort and write a chunk."""
    limit = current_limit()
    if limit is None:
        return
    release_unused_memory()
    enough = (resident_bytes() + _CHUNK_COPIES * chunk.nbytes) / 1e6
    if enough * 1e6 > limit:
        raise DataError(
            f"max_memory of {limit / 1e6:,.0f} MB is not enough to load a source in chunks of "
            f"{chunk.nbytes / 1e6:,.0f} MB",
            where=table.name,
            fix=f"give at least {enough * 1.05:,.0f} MB",
            enough_mb=enough,
        )


def loaded_end(problem: Problem, lake: Lake) -> int:
    """The first instant (us) at which everything in the lake's history tables was known, and all changes had come."""
    from headrace.lake.batch import load as load_batch

    found = [BEFORE_ALL + 1]
    for name in problem.history_tables:
        table = problem.entity_set.table(name)
        columns = (*table.time_columns, *table.known_at)
        for batch in lake.batches(name):
            found.append(history_end(problem, {name: _with_columns(load_batch(batch, columns), batch.rows, columns)}))
    changed = (batch for name in lake.tables() for batch in lake.batches(name) if range_of(batch.source) is not None)
    return max([*found, *(batch.arrival_us + 1 for batch in changed if not batch.bootstrap)])


def _with_columns(rows: pa.Table, count: int, columns: Iterable[str]) -> pa.Table:
    """Null in columns that an earlier batch lacks."""
    present: Mapping[str, Any] = {name: rows.column(name) for name in rows.column_names}
    return pa.table({name: present.get(name, pa.nulls(count)) for name in dict.fromkeys(columns)})


def _key_span(rows: pa.Table, table: Table) -> tuple[int, int] | None:
    """The least and the largest key of a chunk; None where keys are no single whole numbers."""
    column = rows[table.keys[0]]
    if len(table.keys) != 1 or column.type != pa.int64() or column.null_count or not rows.num_rows:
        return None
    values = column.to_numpy()
    return int(values.min()), int(values.max())


def _are_apart(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[1] < other[0] or other[1] < one[0]


def _key_digests(rows: pa.Table, table: Table) -> Digests:
    """The distinct digests of the rows' keys, sorted; `np.unique` hashes them, and takes five times as long."""
    digests = np.sort(_row_digests(rows, table))
    distinct = np.ones(len(digests), dtype=np.bool_)
    distinct[1:] = digests[1:] != digests[:-1]
    return digests[distinct]


def _have_common(one: Digests, other: Digests) -> bool:
    """Whether two sorted arrays of distinct values have one in common."""
    both = np.concatenate([one, other])
    both.sort(kind="stable")  # merges two sorted runs in linear time
    return bool((both[1:] == both[:-1]).any())


def _row_digests(rows: pa.Table, table: Table) -> Digests:
    from pandas.util import hash_pandas_object

    columns = [*table.keys, *([ARRIVAL] if ARRIVAL in rows.column_names else [])]
    digests = hash_pandas_object(rows.select(columns).to_pandas(), index=False)
    return np.asarray(digests, dtype=np.uint64)
