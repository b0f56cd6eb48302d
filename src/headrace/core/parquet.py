"""Write and read Headrace's Parquet files, with a checksum in every page that is verified when it is read.

Checksums of whole files (core.manifest) are verified before a file is opened. The pages' checksums detect later changes
and cover memory-mapped reads. All Parquet files of Headrace are written and read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.core.errors import CorruptError

Writer = pq.ParquetWriter


def write(
    table: pa.Table,
    where: Path | pa.NativeFile,
    *,
    compression: str = "zstd",
    store_schema: bool = True,
    group_rows: int | None = None,
) -> None:
    """Write a table.

    Args:
        table: The rows.
        where: The file.
        compression: Of the pages.
        store_schema: With Arrow's own schema among the metadata.
        group_rows: Rows of a row group, which is in memory while it is written; None for Arrow's default, a million.
    """
    pq.write_table(
        table, where, compression=compression, store_schema=store_schema, write_page_checksum=True,
        row_group_size=group_rows,
    )  # fmt: skip


def identity(table: pa.Table) -> pa.Buffer:
    """Return the bytes whose digest identifies a batch; without page checksums, so that older batches keep their id."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def writer(path: Path, schema: pa.Schema, *, compression: str) -> pq.ParquetWriter:
    """Return a writer that writes a file row group by row group."""
    return pq.ParquetWriter(path, schema, compression=compression, write_page_checksum=True)


def read(path: Path, *, columns: Sequence[str] | None = None, memory_map: bool = False) -> pa.Table:
    """Read a file's rows, or some columns; CorruptError where it cannot be read."""
    with _named(path):
        return pq.read_table(
            path, columns=columns, memory_map=memory_map, partitioning=None, page_checksum_verification=True
        )


def read_schema(path: Path) -> pa.Schema:
    """Read a file's schema from its footer; CorruptError where it cannot be read."""
    with _named(path):
        return pq.read_schema(path)


class ParquetFile:
    """A memory-mapped file whose columns are read on demand; CorruptError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _named(path):
            self._file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)

    @property
    def num_rows(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def schema(self) -> pa.Schema:
        return self._file.schema_arrow

    @property
    def num_row_groups(self) -> int:
        return int(self._file.metadata.num_row_groups)

    def row_group_rows(self, number: int) -> int:
        """Return how many rows a row group has."""
        return int(self._file.metadata.row_group(number).num_rows)

    @property
    def uncompressed_bytes(self) -> int:
        metadata = self._file.metadata
        return sum(int(metadata.row_group(at).total_byte_size) for at in range(metadata.num_row_groups))

    def read_row_group(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one row group."""
        with _named(self._path):
            return self._file.read_row_group(number, columns=list(columns))

    def batches(self, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read columns (None: all), so many rows at a time."""
        with _named(self._path):
            yield from self._file.iter_batches(batch_size=rows, columns=None if columns is None else list(columns))

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Read columns of all rows."""
        with _named(self._path):
            return self._file.read(columns=list(columns))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise CorruptError(f"cannot be read as Parquet ({str(error).splitlines()[0]})", where=str(path)) from None
