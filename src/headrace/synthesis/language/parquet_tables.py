"""Tables in Parquet files, read a part at a time, for engines that never hold a whole table in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from headrace.core import parquet
from headrace.core.errors import NotFoundError
from headrace.synthesis.language.engine import Tables


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """A row group of a Parquet file: what one worker reads at a time."""

    path: Path
    row_group: int

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of its rows."""
        return parquet.ParquetFile(self.path).read_row_group(self.row_group, columns)


@runtime_checkable
class StreamedTables(Tables, Protocol):
    """Tables that can also be read in fragments, in the order of appending (`_order` ascends)."""

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table."""

    def table_bytes(self, name: str) -> int:
        """About how many bytes a table takes in memory."""

    def fragments(self, name: str) -> Sequence[Fragment]:
        """The parts of a table."""


@runtime_checkable
class TablesInFiles(Tables, Protocol):
    """Tables of which the large ones are in Parquet files, in the order of appending, and need not be loaded."""

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table."""

    def table_bytes(self, name: str) -> int:
        """About how many bytes a table takes in memory."""

    def is_large(self, name: str) -> bool:
        """Whether a table is better read in parts than loaded."""

    def files(self, name: str) -> Sequence[Path]:
        """The files of a table."""


class ParquetTables:
    """Tables in files that hold every version of every row, with `_arrival` and `_order` (both int64).

    They are `StreamedTables`, and `TablesInFiles` that are all large.

    Args:
        files: the files of each table, in the order of appending, all with the same columns.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]]) -> None:
        self._files = {name: tuple(paths) for name, paths in files.items()}

    def files(self, name: str) -> tuple[Path, ...]:
        """The files of a table; NotFoundError where there is none."""
        if not self._files.get(name):
            raise NotFoundError(f"no file of table {name!r}", where="tables", found=sorted(self._files))
        return self._files[name]

    @property
    def paths(self) -> Mapping[str, tuple[Path, ...]]:
        """The files of every table."""
        return self._files

    def is_large(self, name: str) -> bool:
        """Every table is read in parts."""
        return True

    def schema(self, name: str) -> pa.Schema:
        return parquet.read_schema(self.files(name)[0])

    def table_bytes(self, name: str) -> int:
        return sum(parquet.ParquetFile(path).uncompressed_bytes for path in self.files(name))

    def fragments(self, name: str) -> Sequence[Fragment]:
        return [
            Fragment(path=path, row_group=number)
            for path in self.files(name)
            for number in range(parquet.ParquetFile(path).num_row_groups)
        ]

    def table(self, name: str) -> pa.Table:
        """All rows of a table in memory."""
        return pa.concat_tables([parquet.read(path) for path in self.files(name)])


def schema_of(tables: Tables, name: str) -> pa.Schema:
    """The columns of a table, without its rows where that is possible."""
    return tables.schema(name) if isinstance(tables, TablesInFiles) else tables.table(name).schema


def is_large(tables: Tables, name: str) -> bool:
    """Whether a table is in files and is better read in parts than loaded."""
    return isinstance(tables, TablesInFiles) and tables.is_large(name)


def read_in_parts(tables: Tables, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of a table: row group by row group where it is in files and large, else at once."""
    if isinstance(tables, StreamedTables):
        for fragment in tables.fragments(name):
            yield fragment.read(columns)
    elif isinstance(tables, TablesInFiles) and tables.is_large(name):
        yield from read_in_parts(ParquetTables({name: tables.files(name)}), name, columns)
    else:
        yield tables.table(name).select(list(columns))


def read_columns(tables: Tables, name: str, columns: Sequence[str]) -> pa.Table:
    """Some columns of a table in memory; of a large table in files no others are read."""
    columns = list(columns)
    if not isinstance(tables, TablesInFiles) or not tables.is_large(name):
        return tables.table(name).select(columns)
    parts = [parquet.read(path, columns=columns).select(columns) for path in tables.files(name)]
    return pa.concat_tables(parts)


def store_tables(tables: Tables, names: Sequence[str], folder: Path, *, row_group_rows: int = 500_000) -> ParquetTables:
    """Write tables to a folder as Parquet files and return them as `ParquetTables`."""
    files: dict[str, tuple[Path, ...]] = {}
    for name in names:
        rows = tables.table(name)
        path = folder / f"{name}.parquet"
        with parquet.writer(path, rows.schema, compression="lz4") as file:
            file.write_table(rows, row_group_size=row_group_rows)
        files[name] = (path,)
    return ParquetTables(files)
