"""Tables of a database as sources: `Table(source="sqlite:///shop.db#orders", ...)`, read through SQLAlchemy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.core.errors import DataError, UnavailableError
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.core.redact import redact
from headrace.problems.sources.interface import BATCH_ROWS, Since
from headrace.problems.sources.sql_columns import arrow_schema, record_batch
from headrace.schema import Table

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_FIX = 'write it as "sqlite:///shop.db#orders" or "postgresql+psycopg://host/shop#orders"'


@dataclass(frozen=True)
class SqlSource:
    """A table or view of a database. The declaration connects to nothing; `read` and `batches` do.

    Args:
        address: SQLAlchemy's address of the database; `${NAME}` is replaced by the environment variable NAME.
        table: the table, with its schema where it has one (`sales.orders`).
        folder: where the path of an SQLite file starts; None: the current folder.
        cursor: column whose values grow; its largest value and the number of rows then identify the rows.
        order: columns that the rows are sorted by, so that every reading gives the same record batches.
    """

    address: str
    table: str
    folder: Path | None = None
    cursor: str | None = None
    order: tuple[str, ...] = ()

    def for_table(self, table: Table) -> SqlSource:
        """Return the source with the cursor that the table declares, sorted by it and the key."""
        order = dict.fromkeys(name for name in (table.cursor, *table.keys) if name is not None)
        return replace(self, cursor=table.cursor, order=tuple(order))

    @property
    def place(self) -> str:
        """The address, without its password, and the table."""
        file = database_file(self.address, self.folder)
        return f"{redact(self.address) if file is None else file.absolute()}#{self.table}"

    def fingerprint(self) -> str:
        """sha256 of an SQLite file; of other databases, of the cursor's end, or of all rows, which are read for it."""
        file = database_file(self.address, self.folder)
        if file is not None:
            return file_fingerprint(file, self.table)
        if self.cursor is not None:
            return fingerprint([self.place, self._extent()])
        digest = hashlib.sha256()
        for batch in self.batches():
            digest.update(batch.serialize())
        return digest.hexdigest()

    def read(self) -> pa.Table:
        """Read all rows.

        Raises:
            DataError: The database or the table is not there, or cannot be read.
            UnavailableError: The database does not answer.
        """
        with connected(self.address, self.folder) as engine, _open(engine, self.address) as connection:
            schema, rows = self._rows(connection, None)
            return pa.Table.from_batches(list(rows), schema=schema)

    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, those of one transaction, in record batches; the database leaves out older ones.

        Raises:
            DataError: The database or the table is not there, or cannot be read.
            UnavailableError: The database does not answer.
        """
        with connected(self.address, self.folder) as engine, _open(engine, self.address) as connection:
            yield from self._rows(connection, since)[1]

    def _rows(self, connection: Connection, since: Since | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        from sqlalchemy import select

        table = self._reflected(connection)
        schema = arrow_schema(table, connection)
        statement = select(table).order_by(*(table.c[name] for name in self.order if name in table.c))
        bound = since.bound(schema.field(since.column).type) if since is not None and since.column in table.c else None
        if connection.dialect.name == "sqlite" and not isinstance(bound, int | float):
            bound = None  # SQLite holds times as texts, with and without fractions of a second
        if since is not None and bound is not None:
            statement = statement.where(table.c[since.column] >= bound)
        result = connection.execution_options(stream_results=True).execute(statement)
        where = f"{redact(self.address)}#{self.table}"
        return schema, (record_batch(rows, schema, where) for rows in result.partitions(BATCH_ROWS))

    def _extent(self) -> list[str]:
        from sqlalchemy import func, select

        with connected(self.address, self.folder) as engine, _open(engine, self.address) as connection:
            table = self._reflected(connection)
            if self.cursor not in table.c:
                raise DataError(
                    f"no column {self.cursor!r}", where=self.place, found=table.c.keys(), fix="correct the cursor"
                )
            found = connection.execute(select(func.count(), func.max(table.c[self.cursor])).select_from(table)).one()
            return [str(value) for value in found]

    def _reflected(self, connection: Connection) -> Any:
        from sqlalchemy import MetaData
        from sqlalchemy import Table as SqlTable
        from sqlalchemy.exc import NoSuchTableError

        schema, _, name = self.table.rpartition(".")
        for owner, called in dict.fromkeys(((schema or None, name), (None, self.table))):
            try:
                return SqlTable(called, MetaData(), schema=owner, autoload_with=connection, resolve_fks=False)
            except NoSuchTableError:
                continue
        known = table_names(connection.engine)
        raise DataError(f"no table {self.table!r}", where=redact(self.address), found=known, fix=_FIX)


def parse_address(text: str, folder: Path | None) -> SqlSource:
    """Read `address#table`.

    Raises:
        DataError: There is no table in it.
    """
    address, _, table = text.partition("#")
    if not table:
        raise DataError("an address without a table", where=f"source {redact(text)}", fix=_FIX)
    return SqlSource(address, table, folder)


def table_names(engine: Engine) -> list[str]:
    """Names of the tables and views of a database's default schema, sorted."""
    from sqlalchemy import inspect

    found = inspect(engine)
    return sorted([*found.get_table_names(), *found.get_view_names()])


def database_file(address: str, folder: Path | None) -> Path | None:
    """The file of an SQLite or DuckDB database; None for other databases."""
    scheme, _, path = os.path.expandvars(address).partition("://")
    if not scheme.startswith(("sqlite", "duckdb")) or not path.removeprefix("/"):
        return None
    return (folder or Path()) / path.removeprefix("/").partition("?")[0]


def file_fingerprint(file: Path, table: str) -> str:
    """A digest of a database's file, and of what is not merged into it yet."""
    require_database(file)
    parts = [file, *(file.with_name(f"{file.name}{end}") for end in ("-wal", ".wal"))]
    digests = [_digest(path, path.stat().st_mtime_ns, path.stat().st_size) for path in parts if path.is_file()]
    return fingerprint([table, *digests])


def require_database(file: Path) -> None:
    """Raise DataError where the file of a database is not there."""
    if not file.is_file():
        raise DataError("no such database file", where=str(file), fix="check the table's source")


@contextmanager
def connected(address: str, folder: Path | None) -> Iterator[Engine]:
    """An engine on a database, disposed of at the end; its errors become DataError with one line."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    file = database_file(address, folder)
    if file is not None:
        require_database(file)
    engine: Any = None
    try:
        engine = create_engine(f"sqlite:///{file.absolute()}" if file is not None else os.path.expandvars(address))
        yield engine
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise DataError(f"the database cannot be read: {_first_line(error)}", where=redact(address), fix=_FIX) from None
    finally:
        if engine is not None:
            engine.dispose()


@contextmanager
def _open(engine: Engine, address: str) -> Iterator[Connection]:
    """A connection; UnavailableError where there is none to be had."""
    from sqlalchemy.exc import OperationalError

    try:
        connection = engine.connect()
    except OperationalError as error:
        raise UnavailableError(
            f"the database does not answer: {_first_line(error)}",
            where=redact(address),
            fix="check the address, and that the database is running; run again",
        ) from None
    with connection:
        yield connection


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error) or type(error).__name__).splitlines()[0]


@lru_cache(maxsize=64)
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    return file_digest(path)
