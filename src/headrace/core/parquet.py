"""Parquet files of our own. Every page is written with a checksum, and reading compares it.

Sums of whole files (core.manifest) are compared before a file is opened. The pages' checksums find what changes after
that, and what is read of a file that is mapped into memory. Nothing else writes Parquet, or reads what is ours.
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
    table: pa.Table, where: Path | pa.NativeFile, *, compression: str = "zstd", store_schema: bool = True
) -> None:
    """Write a table. store_schema: with Arrow's own schema among the metadata."""
    pq.write_table(table, where, compression=compression, store_schema=store_schema, write_page_checksum=True)


def identity(table: pa.Table) -> pa.Buffer:
    """The bytes that a batch is known by. Without checksums: batches of before these are known by the same ones."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def writer(path: Path, schema: pa.Schema, *, compression: str) -> pq.ParquetWriter:
    """What writes a file row group by row group."""
    return pq.ParquetWriter(path, schema, compression=compression, write_page_checksum=True)


def read(path: Path, *, columns: Sequence[str] | None = None, memory_map: bool = False) -> pa.Table:
    """A file's rows. Raises CorruptError where it cannot be read."""
    with _named(path):
        return pq.read_table(
            path, columns=columns, memory_map=memory_map, partitioning=None, page_checksum_verification=True
        )


def read_schema(path: Path) -> pa.Schema:
    """A file's columns, from its footer alone. Raises CorruptError where it cannot be read."""
    with _named(path):
        return pq.read_schema(path)


class ParquetFile:
    """A file mapped into memory, its columns read when they are asked for. Raises CorruptError where it cannot be."""

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

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows."""
        with _named(self._path):
            return self._file.read(columns=list(columns))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise CorruptError(f"cannot be read as Parquet ({str(error).splitlines()[0]})", where=str(path)) from None
