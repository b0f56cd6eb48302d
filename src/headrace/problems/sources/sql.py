"""Tables of a database as sources: `Table(source="sqlite:///shop.db#orders", ...)`, read through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.core.errors import DataError, UnavailableError
from headrace.core.fingerprint import fingerprint
from headrace.core.redact import redact
from headrace.problems.sources.database_table import DatabaseTable, database_file, require_database
from headrace.problems.sources.environment import expanded
from headrace.problems.sources.feeds.change_table import ChangeTable, SqlChanges, newest_sequence
from headrace.problems.sources.feeds.feed import Changes
from headrace.problems.sources.interface import BATCH_ROWS, Since
from headrace.problems.sources.sql_columns import arrow_schema, record_batch
from headrace.schema import Table

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_FIX = 'write it as "sqlite:///shop.db#orders" or "postgresql+psycopg://host/shop#orders"'


@dataclass(frozen=True)
class SqlSource(DatabaseTable):
    """A table or view that SQLAlchemy reads.

    Args:
        address: of the database, as SQLAlchemy writes it.
        changes: where the database records changes of the table; only these are read after the first load.
    """

    changes: ChangeTable | None = None

    def changes_of(self, table: Table) -> Changes | None:
        """Return the table's changes; None where it is read whole."""
        return None if self.changes is None else SqlChanges(source=self, table=table, options=self.changes)

    def read(self) -> pa.Table:
        """Read all rows; of a change table, the changes.

        Raises:
            DataError: The database or the table is not there, or cannot be read.
            UnavailableError: The database does not answer.
        """
        with self.opened() as connection:
            schema, rows = self._rows(connection, None)
            return pa.Table.from_batches(list(rows), schema=schema)

    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, those of one transaction, in record batches; the database leaves out older ones.

        Raises:
            DataError: The database or the table is not there, or cannot be read.
            UnavailableError: The database does not answer.
        """
        with self.opened() as connection:
            yield from self._rows(connection, since)[1]

    def fingerprint(self) -> str:
        """As of other tables; of one whose changes are recorded, their last number."""
        if self.changes is None or database_file(self.address, self.folder) is not None:
            return super().fingerprint()
        with self.opened() as connection:
            changes = self.reflected(connection, self.changes.table)
            return fingerprint([self.place, newest_sequence(connection, changes, self.changes.sequence, self.place)])

    def rows_now(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows of the source's own table."""
        yield from self.batches()

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        """Yield a connection; errors of the database become DataError or UnavailableError."""
        with connected(self.address, self.folder) as engine, _open(engine, self.address) as connection:
            yield connection

    def _rows(self, connection: Connection, since: Since | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        from sqlalchemy import select

        table = self.reflected(connection)
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

        with self.opened() as connection:
            table = self.reflected(connection)
            if self.cursor not in table.c:
                raise DataError(
                    f"no column {self.cursor!r}", where=self.place, found=table.c.keys(), fix="correct the cursor"
                )
            found = connection.execute(select(func.count(), func.max(table.c[self.cursor])).select_from(table)).one()
            return [str(value) for value in found]

    def reflected(self, connection: Connection, table: str | None = None) -> Any:
        """Return a table of the database as SQLAlchemy has it; the source's own if left out."""
        from sqlalchemy import MetaData
        from sqlalchemy import Table as SqlTable
        from sqlalchemy.exc import NoSuchTableError

        full = table or self.table
        schema, _, name = full.rpartition(".")
        for owner, called in dict.fromkeys(((schema or None, name), (None, full))):
            try:
                return SqlTable(called, MetaData(), schema=owner, autoload_with=connection, resolve_fks=False)
            except NoSuchTableError:
                continue
        known = table_names(connection.engine)
        raise DataError(f"no table {full!r}", where=redact(self.address), found=known, fix=_FIX)


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
        engine = create_engine(f"sqlite:///{file.absolute()}" if file is not None else expanded(address))
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
