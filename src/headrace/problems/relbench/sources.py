"""A table of a RelBench database as a source: keys as positions, times in UTC, in record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.core.errors import DataError
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.problems.relbench.columns import Column, is_text

#: Rows that are converted at a time.
_BATCH_ROWS = 262_144
#: Above all keys.
_NO_BOUND = 2**63 - 1
TIMESTAMP = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, kw_only=True)
class DatabaseTable:
    """A table of the database.

    Rows without a time are left out where the table has a time column, as RelBench does. Foreign keys are whole
    numbers, null where they point to no row. Infinite numbers are null.

    Args:
        path: The Parquet file.
        columns: The columns that are read.
        time: Alias of the time column.
        row: Name of an added column of row numbers, for a table without a primary key.
        links: Alias of a foreign key -> what its numbers are below (`key_bound`).
    """

    path: Path
    columns: tuple[Column, ...]
    time: str | None = None
    row: str | None = None
    links: tuple[tuple[str, int], ...] = ()

    def fingerprint(self) -> str:
        """Digest of the file and of what is read from it."""
        names = [[one.name, one.alias] for one in self.columns]
        return fingerprint([digest_of(self.path), names, self.time, self.row, [list(link) for link in self.links]])

    def read(self) -> pa.Table:
        """All rows, in the file's order."""
        schema = pq.read_schema(self.path)
        empty = self._converted(pa.schema([schema.field(one.name) for one in self.columns]).empty_table(), 0)
        return pa.concat_tables([empty, *(pa.Table.from_batches([batch]) for batch in self.batches())])

    def batches(self, since: object = None) -> Iterator[pa.RecordBatch]:
        """The same rows in record batches, so that a large table is never in memory as a whole."""
        start = 0
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=[one.name for one in self.columns]):
                yield from self._converted(pa.Table.from_batches([batch]), start).combine_chunks().to_batches()
                start += batch.num_rows

    def _converted(self, rows: pa.Table, start: int) -> pa.Table:
        """The rows as the problem has them. start: position of the first in the file."""
        links = dict(self.links)
        columns = {}
        for one in self.columns:
            if one.alias in links:
                values = within(as_key(rows[one.name], str(self.path)), links[one.alias])
            elif one.alias == self.time:
                values = as_time(rows[one.name], str(self.path))
            else:
                values = plain(rows[one.name])
            columns[one.alias] = values
        if self.row is not None:
            columns[self.row] = pa.chunked_array([pa.array(np.arange(start, start + rows.num_rows))])
        table = pa.table(columns)
        return table if self.time is None else table.filter(pc.is_valid(table[self.time]))


def read_columns(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read columns of a file of the folder; None: all."""
    return pq.read_table(path, columns=columns)


def row_count(path: Path) -> int:
    """The number of rows of a file of the folder."""
    return int(pq.read_metadata(path).num_rows)


def digest_of(path: Path) -> str:
    """sha256 of a file, cached by its size and time of change."""
    status = path.stat()
    return _cached_digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _cached_digest(path: Path, mtime_ns: int, size: int) -> str:
    return file_digest(path)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in a type that the lake keeps; naive times are UTC, and infinite numbers null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("s")).cast(pa.timestamp("us")).cast(TIMESTAMP)
    if pa.types.is_timestamp(kind):
        naive = column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
        return naive.cast(TIMESTAMP)
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
    return column


def as_key(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Whole numbers where a column holds numbers (pandas writes empty keys as NaN); texts stay texts."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            raise DataError("a key that is no whole number", where=where) from None
    return plain(column)


def as_position(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Keys that are positions of rows, as recommendation needs them.

    Raises:
        DataError: They are texts, or numbers that are not whole.
    """
    keys = as_key(column, where)
    if not (pa.types.is_integer(keys.type) or pa.types.is_null(keys.type)):
        raise DataError(
            f"keys of a recommendation task must be positions of rows, and these are {keys.type}", where=where,
            found=keys.drop_null()[:3].to_pylist(), fix="rewrite the folder with RelBench's byod/reindex_dataset.py",
        )  # fmt: skip
    return keys.cast(pa.int64())


def as_time(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Times in UTC; of a column of texts, as ISO 8601 writes them: a date alone is its midnight.

    Raises:
        DataError: A text is no time.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not is_text(column.type):
        return plain(column)
    import pandas as pd

    texts = column.to_pandas()
    times = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    unread = texts[times.isna() & texts.notna()]
    if len(unread):
        raise DataError(
            f"{len(unread)} texts of a time column are no times", where=where, found=list(unread.unique()[:3]),
            fix="write a column of timestamps, or texts such as 2024-03-01 14:30:00",
        )  # fmt: skip
    return pa.chunked_array([pa.array(times, pa.timestamp("us", tz="UTC"))])


def key_bound(path: Path, key: str) -> int:
    """Return what the foreign keys of a table are below, as whole numbers; others point to no row.

    RelBench's keys are the positions of rows, so the bound is their number. Keys of another kind have no bound.
    """
    rows = row_count(path)
    if key not in pq.read_schema(path).names:
        return rows
    column = pq.read_table(path, columns=[key])[key]
    if pa.types.is_integer(column.type):
        extremes = pc.min_max(column).as_py()
        if (extremes["min"] or 0) >= 0 and (extremes["max"] or 0) < rows:
            return rows
    return _NO_BOUND


def within(keys: pa.ChunkedArray, bound: int) -> pa.ChunkedArray:
    """Null where a whole number is negative, or not below the bound."""
    if not pa.types.is_integer(keys.type):
        return keys
    return pc.if_else(pc.and_(pc.less(keys, bound), pc.greater_equal(keys, 0)), keys, pa.scalar(None, keys.type))
