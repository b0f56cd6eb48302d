"""Tables of a database as sources: `Table(source="sqlite:///shop.db#orders", ...)`, read through SQLAlchemy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.core import parquet
from headrace.core.errors import DataError
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.core.redact import redact

if TYPE_CHECKING:
    from sqlalchemy import Engine

_FIX = 'write it as "sqlite:///shop.db#orders" or "postgresql://host/shop#orders"'


@dataclass(frozen=True)
class SqlSource:
    """A table or view of a database. The declaration connects to nothing; `read` does.

    Args:
        address: SQLAlchemy's address of the database; `${NAME}` is replaced by the environment variable NAME.
        table: the table, with its schema where it has one (`sales.orders`).
        folder: where the path of an SQLite file starts; None: the current folder.
    """

    address: str
    table: str
    folder: Path | None = None

    def fingerprint(self) -> str:
        """sha256 of an SQLite file; of other databases, of all rows, which are read for it."""
        file = database_file(self.address, self.folder)
        if file is None:
            return hashlib.sha256(parquet.identity(self.read())).hexdigest()
        parts = [path for path in (file, file.with_name(f"{file.name}-wal")) if path.is_file()]
        digests = [_digest(path, path.stat().st_mtime_ns, path.stat().st_size) for path in parts]
        return fingerprint([self.table, *digests])

    def read(self) -> pa.Table:
        """Read all rows.

        Raises:
            DataError: The database or the table is not there, or cannot be read.
        """
        import pandas as pd

        schema, _, name = self.table.rpartition(".")
        with connected(self.address, self.folder) as engine:
            from sqlalchemy import inspect

            known = table_names(engine)
            if self.table not in known and name not in inspect(engine).get_table_names(schema=schema or None):
                raise DataError(f"no table {self.table!r}", where=redact(self.address), found=known, fix=_FIX)
            with engine.connect() as connection:
                frame = pd.read_sql_table(name, connection, schema=schema or None, dtype_backend="pyarrow")
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def parse_address(text: str, folder: Path | None) -> SqlSource:
    """Read `address#table`.

    Raises:
        DataError: There is no table in it, or SQLAlchemy knows no such database.
    """
    address, _, table = text.partition("#")
    scheme = address.partition("://")[0].partition("+")[0]
    if scheme in ("http", "https", "s3", "ftp", "file", "gs"):
        raise DataError(
            "an address is no file",
            where=f"source {text}",
            found=(".csv", ".csv.gz", ".parquet"),
            fix="export it to a file, name a database, or give an object with read()",
        )
    if not table:
        raise DataError("an address without a table", where=f"source {text}", fix=_FIX)
    return SqlSource(address, table, folder)


def table_names(engine: Engine) -> list[str]:
    """Names of the tables and views of a database's default schema, sorted."""
    from sqlalchemy import inspect

    found = inspect(engine)
    return sorted([*found.get_table_names(), *found.get_view_names()])


def database_file(address: str, folder: Path | None) -> Path | None:
    """The file of an SQLite database; None for other databases."""
    scheme, _, path = os.path.expandvars(address).partition("://")
    if not scheme.startswith("sqlite") or not path.removeprefix("/"):
        return None
    return (folder or Path()) / path.removeprefix("/").partition("?")[0]


@contextmanager
def connected(address: str, folder: Path | None) -> Iterator[Engine]:
    """An engine on a database, disposed of at the end; its errors become DataError with one line."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    file = database_file(address, folder)
    if file is not None and not file.is_file():
        raise DataError("no such database file", where=str(file), fix="check the table's source")
    engine: Any = None
    try:
        engine = create_engine(f"sqlite:///{file.absolute()}" if file is not None else os.path.expandvars(address))
        yield engine
    except (SQLAlchemyError, ImportError, ValueError) as error:
        first = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise DataError(f"the database cannot be read: {first}", where=redact(address), fix=_FIX) from None
    finally:
        if engine is not None:
            engine.dispose()


@lru_cache(maxsize=64)
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    return file_digest(path)
