"""Read the rows of a declared table: its source's, with null texts replaced and times of parent rows joined.

Sources are read in chunks of record batches. A source that fits in one chunk gives the same rows as one that is read
whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.problems.sources.addresses import table_source
from headrace.problems.sources.feeds.feed import ChangeRange, Changes, changes_of
from headrace.problems.sources.interface import BatchSource, Since, in_batches, require_rows
from headrace.problems.sources.joining import ParentColumns
from headrace.schema import EntitySet, Problem, Source, Table

#: Bytes of rows in one chunk, in Arrow's memory.
CHUNK_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class SourceReader:
    """Where the tables of a problem are read from.

    Attributes:
        entity_set: the tables.
        folder: where relative paths of sources start; None for the current one.
    """

    entity_set: EntitySet
    folder: Path | None = None

    @classmethod
    def of(cls, problem: Problem) -> SourceReader:
        """The tables of a problem; relative paths start at the folder of its file."""
        return cls(entity_set=problem.entity_set, folder=problem.path.parent if problem.path is not None else None)

    def rows(self, table: Table) -> pa.Table:
        """Read all rows of a table.

        Raises:
            DataError: The source cannot be read, changed while it was read, or returns something else than an Arrow
                table.
            UnavailableError: A service does not answer.
        """
        source = table_source(table, self.folder)
        with_parents = ParentColumns.read(table, self)
        feed = changes_of(source, table)
        position = None if feed is None else feed.position()
        if feed is None or position is None:
            return with_parents.add(_without_null_texts(table, _unchanged(source, table)))
        rows = _rows_of(feed.batches(ChangeRange(after=None, until=position)), source, table)
        return with_parents.add(_without_null_texts(table, rows))

    def changes(self, table: Table) -> Changes | None:
        """Return the change feed of a table's source; None where it is read whole or by a cursor."""
        return changes_of(table_source(table, self.folder), table)

    def changed_chunks(
        self, table: Table, feed: Changes, span: ChangeRange, size: int | None = None
    ) -> Iterator[pa.Table]:
        """Yield the rows of a range of a table's changes in chunks; none where nothing changed.

        Args:
            table: the table.
            feed: its change feed.
            span: the range.
            size: bytes of one chunk; None: CHUNK_BYTES.

        Raises:
            DataError: rows were deleted, or the source has the changes no more.
            UnavailableError: a service does not answer.
        """
        with_parents = ParentColumns.read(table, self)
        for chunk in _chunks(feed.batches(span), CHUNK_BYTES if size is None else size):
            yield with_parents.add(_without_null_texts(table, chunk))

    def chunks(self, table: Table, since: Since | None = None, size: int | None = None) -> Iterator[pa.Table]:
        """Yield the rows of a table in chunks, at least one unless `since` is given.

        Args:
            table: the table.
            since: leave out older rows, where the source can compare its values; others may be among the rows.
            size: bytes of one chunk; None: CHUNK_BYTES. A chunk is larger where a single record batch is.

        Raises:
            DataError: The source cannot be read, or changed while it was read.
            UnavailableError: A service does not answer.
        """
        source = table_source(table, self.folder)
        with_parents = ParentColumns.read(table, self)
        empty = True
        for chunk in _chunks(_batches(source, table, since), CHUNK_BYTES if size is None else size):
            empty = False
            yield with_parents.add(_without_null_texts(table, chunk))
        if empty and since is None:
            yield with_parents.add(_whole(source, table))


def _rows_of(batches: Iterator[pa.RecordBatch], source: Source, table: Table) -> pa.Table:
    """The batches as one table; of no batch, the source's columns without a row."""
    found = list(batches)
    return pa.Table.from_batches(found) if found else _whole(source, table).slice(0, 0)


def _whole(source: Source, table: Table) -> pa.Table:
    try:
        return require_rows(source.read())
    except DataError as error:
        if error.where:
            raise
        raise DataError(error.what, where=table.name, fix=error.fix) from None


def _unchanged(source: Source, table: Table) -> pa.Table:
    """All rows of a source; an object without `batches` must have the same fingerprint afterwards, if any."""
    if isinstance(source, BatchSource):
        return _whole(source, table)  # files look for a change themselves; databases read one state
    fingerprint = getattr(source, "fingerprint", lambda: None)
    before = fingerprint()
    rows = _whole(source, table)
    if fingerprint() != before:
        raise DataError("the source changed while it was read", where=table.name, fix="run again when nobody writes it")
    return rows


def _batches(source: Source, table: Table, since: Since | None) -> Iterator[pa.RecordBatch]:
    """Record batches of a source, which does not change while they are read."""
    if isinstance(source, BatchSource):
        yield from in_batches(source, since)
    else:
        yield from _unchanged(source, table).to_batches()


def _chunks(batches: Iterator[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    gathered: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        gathered.append(batch)
        held += batch.nbytes
        if held >= size:
            yield pa.Table.from_batches(gathered)
            gathered, held = [], 0
    if gathered:
        yield pa.Table.from_batches(gathered)


def _without_null_texts(table: Table, rows: pa.Table) -> pa.Table:
    """Null in place of the texts that the table declares as no value; of numbers if only numbers are left."""
    if table.null_values is None:
        return rows
    for position, field in enumerate(rows.schema):
        if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            continue
        column = rows.column(position)
        is_null = pc.is_in(column, value_set=pa.array(table.null_values, field.type))
        if not pc.any(is_null).as_py():
            continue
        column = pc.if_else(is_null, pa.scalar(None, field.type), column)
        if field.name not in {*table.keys, *table.roles}:
            column = _numbers(column)
        rows = rows.set_column(position, field.name, column)
    return rows


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.float64()) if column.null_count < len(column) else column
    except pa.ArrowInvalid:
        return column
