"""Tables of PostgreSQL and SQLite as sources through ADBC: `postgresql+adbc://host/shop#orders`.

ADBC transfers columns, without a Python object per value.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.errors import DataError, UnavailableError
from headrace.core.redact import redact
from headrace.problems.sources.database_table import DatabaseTable, database_file, require_database
from headrace.problems.sources.environment import expanded
from headrace.problems.sources.interface import BATCH_ROWS, Since, missing_package
from headrace.problems.sources.sql_text import count_and_end, select_rows

_FIX = 'write it as "postgresql+adbc://host/shop#orders"'
_DRIVERS = {"postgresql": "adbc_driver_postgresql", "sqlite": "adbc_driver_sqlite"}
#: Metadata in which the driver for PostgreSQL names the type of a column that has none in Arrow.
_TYPE_NAME = b"ADBC:postgresql:typname"


@dataclass(frozen=True)
class AdbcSource(DatabaseTable):
    """A table or view that an ADBC driver reads. address: `postgresql+adbc://...` or `sqlite+adbc:///...`."""

    def read(self) -> pa.Table:
        """Read all rows.

        Raises:
            DataError: The database or the table is not there, or cannot be read.
            UnavailableError: The database does not answer.
        """
        with self._cursor() as cursor:
            schema = self._schema(cursor)
            return pa.Table.from_batches(list(self._rows(cursor, schema, None)), schema=_plain(schema))

    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, those of one statement, in record batches; the database leaves out older ones.

        Raises:
            DataError: The database or the table is not there, or cannot be read.
            UnavailableError: The database does not answer.
        """
        with self._cursor() as cursor:
            yield from self._rows(cursor, self._schema(cursor), since)

    def _extent(self) -> list[str]:
        assert self.cursor is not None
        with self._cursor() as cursor:
            cursor.execute(count_and_end(self.table, self.cursor, self._dialect))
            return [str(value) for value in cursor.fetchone()]

    @property
    def _dialect(self) -> str:
        return self.address.partition("+")[0]

    def _schema(self, cursor: Any) -> pa.Schema:
        if self._dialect == "sqlite":  # types are inferred from the rows of the first batch
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": BATCH_ROWS})
        cursor.execute(select_rows(self.table, self._dialect, none=self._dialect != "sqlite"))
        schema: pa.Schema = cursor.fetch_record_batch().schema
        return schema

    def _rows(self, cursor: Any, schema: pa.Schema, since: Since | None) -> Iterator[pa.RecordBatch]:
        order = [name for name in self.order if name in schema.names]
        known = since is not None and since.column in schema.names
        bound = since.bound(schema.field(since.column).type) if since is not None and known else None
        column = since.column if since is not None and bound is not None else None
        cursor.execute(select_rows(self.table, self._dialect, order=order, column=column, bound=bound))
        plain = _plain(schema)
        for batch in cursor.fetch_record_batch():
            yield batch.cast(plain)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        name = _DRIVERS[self._dialect]
        try:
            driver = importlib.import_module(f"{name}.dbapi")
        except ImportError:
            raise missing_package(name, "postgres", redact(self.address)) from None
        file = database_file(self.address, self.folder)
        if file is not None:
            require_database(file)
        address = expanded(self.address).replace("+adbc", "", 1)
        try:
            connection = driver.connect(address if file is None else str(file.absolute()))
        except driver.Error as error:
            raise UnavailableError(
                f"the database does not answer: {_first_line(error)}",
                where=redact(self.address),
                fix="check the address, and that the database is running; run again",
            ) from None
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        except (driver.Error, pa.ArrowException) as error:
            raise DataError(f"the database cannot be read: {_first_line(error)}", where=self.place, fix=_FIX) from None


def parse_address(text: str, folder: Path | None) -> AdbcSource:
    """Read `address#table`.

    Raises:
        DataError: There is no table in it, or no driver for the database.
    """
    address, _, table = text.partition("#")
    if not table or address.partition("+")[0] not in _DRIVERS:
        raise DataError(
            "an address without a table" if not table else "no ADBC driver that Headrace knows",
            where=f"source {redact(text)}",
            found=[f"{name}+adbc" for name in _DRIVERS],
            fix=_FIX,
        )
    return AdbcSource(address, table, folder)


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with numeric(p, s) as float64; the driver gives its values as texts."""
    return pa.schema(
        [
            pa.field(one.name, pa.float64() if (one.metadata or {}).get(_TYPE_NAME) == b"numeric" else one.type)
            for one in schema
        ]
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
