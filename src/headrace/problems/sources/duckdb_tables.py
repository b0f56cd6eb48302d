"""Tables of a DuckDB file as sources: `Table(source="duckdb:///shop.duckdb#orders", ...)`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.errors import DataError
from headrace.problems.sources.database_table import database_file, file_fingerprint, require_database
from headrace.problems.sources.interface import BATCH_ROWS, Since, missing_package
from headrace.problems.sources.sql_text import select_rows
from headrace.schema import Table

_FIX = 'write it as "duckdb:///shop.duckdb#orders"'


@dataclass(frozen=True)
class DuckDBSource:
    """A table or view of a DuckDB file. The declaration opens nothing; `read` and `batches` do.

    Args:
        address: `duckdb:///path`; four slashes for an absolute path.
        table: the table, with its schema where it has one (`sales.orders`).
        folder: where the path starts; None: the current folder.
        order: columns that the rows are sorted by, so that every reading gives the same record batches.
    """

    address: str
    table: str
    folder: Path | None = None
    order: tuple[str, ...] = ()

    def for_table(self, table: Table) -> DuckDBSource:
        """Return the source, sorted by the cursor that the table declares and its key."""
        return replace(self, order=tuple(dict.fromkeys(name for name in (table.cursor, *table.keys) if name)))

    @property
    def _file(self) -> Path:
        file = database_file(self.address, self.folder)
        if file is None:
            raise DataError("an address without a file", where=f"source {self.address}", fix=_FIX)
        return file

    @property
    def place(self) -> str:
        """The file's absolute path, and the table."""
        return f"{self._file.absolute()}#{self.table}"

    def fingerprint(self) -> str:
        """sha256 of the file, and of what is not merged into it yet."""
        return file_fingerprint(self._file, self.table)

    def read(self) -> pa.Table:
        """Read all rows; DataError where the file or the table is not there, or cannot be read."""
        with self._connected() as connection:
            schema = connection.sql(select_rows(self.table, "postgresql", none=True)).to_arrow_reader(1).schema
            return pa.Table.from_batches(list(self._rows(connection, None)), schema=schema)

    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in record batches, without older ones; DataError where they cannot be read."""
        with self._connected() as connection:
            yield from self._rows(connection, since)

    def _rows(self, connection: Any, since: Since | None) -> Iterator[pa.RecordBatch]:
        schema = connection.sql(select_rows(self.table, "postgresql", none=True)).to_arrow_reader(1).schema
        order = [name for name in self.order if name in schema.names]
        column = since.column if since is not None and since.column in schema.names else None
        bound = since.bound(schema.field(column).type) if since is not None and column is not None else None
        statement = select_rows(self.table, "postgresql", order=order, column=column, bound=bound)
        yield from connection.sql(statement).to_arrow_reader(BATCH_ROWS)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            import duckdb
        except ImportError:
            raise missing_package("duckdb", "duckdb", self.address) from None
        require_database(self._file)
        try:
            with duckdb.connect(str(self._file), read_only=True) as connection:
                yield connection
        except (duckdb.Error, pa.ArrowException) as error:
            raise DataError(
                f"the database cannot be read: {str(error).splitlines()[0]}", where=self.place, fix=_FIX
            ) from None


def parse_address(text: str, folder: Path | None) -> DuckDBSource:
    """Read `duckdb:///file#table`; DataError where there is no table in it."""
    address, _, table = text.partition("#")
    if not table:
        raise DataError("an address without a table", where=f"source {text}", fix=_FIX)
    return DuckDBSource(address, table, folder)
