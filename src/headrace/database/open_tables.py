"""Open the tables of a group: in PostgreSQL where a database is named, otherwise in an SQLite file of the home."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from headrace.core.settings import settings
from headrace.database.table_group import TableGroup


class Tables(Protocol):
    """The tables of a group of one problem, in whichever database. Safe for many threads and processes."""

    @property
    def place(self) -> str:
        """The file, or the database and schema, for messages."""
        ...

    def exists(self) -> bool:
        """Whether the file exists; tables of PostgreSQL are created when they are first used."""
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """Yield a connection for reading."""
        ...

    def write(self) -> AbstractContextManager[Connection]:
        """Yield a connection with an open transaction; transactions of writers follow each other."""
        ...


def open_tables(
    root: Path,
    problem: str,
    group: TableGroup,
    *,
    database_url: str | None = None,
    fix: str = "bring it back from a backup",
    recreate: bool = False,
) -> Tables:
    """Open the tables of a group of a problem.

    Args:
        root: Home folder.
        problem: Name of the problem.
        group: The tables.
        database_url: Address of PostgreSQL; None for the setting `database_url`, empty for SQLite in any case.
        fix: What to do about a damaged SQLite file, for errors.
        recreate: Whether a missing SQLite file is created again, because its reader recovers it.
    """
    url = settings().database_address if database_url is None else database_url
    if url:
        from headrace.database.postgresql import PostgresqlTables

        return PostgresqlTables(address=url, problem=problem, group=group)
    from headrace.database.sealed_file import SealedFile

    return SealedFile(path=file_of(root, problem, group), group=group, fix=fix, recreate=recreate)


def file_of(root: Path, problem: str, group: TableGroup) -> Path:
    """Return the SQLite file of a group, `<root>/<group>/<problem>.db`."""
    return root / group.name / f"{problem}.db"
