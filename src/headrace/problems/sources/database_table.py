"""A table of a database: where it is, and a digest of its rows. What reads it is in `sql` and `adbc`."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

import pyarrow as pa

from headrace.core.errors import DataError
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.core.redact import redact
from headrace.problems.sources.environment import expanded
from headrace.problems.sources.interface import Since
from headrace.schema import Table


@dataclass(frozen=True)
class DatabaseTable(ABC):
    """A table or view of a database. The declaration connects to nothing; `read` and `batches` do.

    Args:
        address: address of the database; `${NAME}` is replaced by the environment variable NAME.
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

    def for_table(self, table: Table) -> Self:
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

    @abstractmethod
    def batches(self, since: Since | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in record batches; the database leaves out older ones."""

    @abstractmethod
    def _extent(self) -> Sequence[str]:
        """Return the number of rows and the largest value of the cursor, as texts."""


def database_file(address: str, folder: Path | None) -> Path | None:
    """The file of an SQLite or DuckDB database; None for other databases."""
    scheme, _, path = expanded(address).partition("://")
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


@lru_cache(maxsize=64)
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    return file_digest(path)
