"""Copy ledger, outbox and prediction log between the SQLite files of a home and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.monitor.outbox.tables import OUTBOX
from headrace.prediction_log.file import PredictionFile
from headrace.prediction_log.log import PredictionLog
from headrace.prediction_log.tables import PREDICTIONS
from headrace.registry.ledger_schema import LEDGER

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from headrace.database.table_group import TableGroup

#: What refers to others comes before them, as in a backup (`core.copy_order`).
GROUPS = (OUTBOX, PREDICTIONS, LEDGER)


def export(root: Path, database_url: str, folder: Path) -> dict[str, Path]:
    """Copy the tables of a home's problems from PostgreSQL to SQLite files, each problem as of one instant.

    Args:
        root: Home folder.
        database_url: Address of PostgreSQL.
        folder: Where the files are written.

    Returns:
        Path of each file below the home -> the file.
    """
    from headrace.database.postgresql import PostgresqlTables

    files = {}
    for problem in problems(root):
        PredictionLog(root, problem, database_url=database_url).take_in()
        with ExitStack() as stack:
            tables = [PostgresqlTables(address=database_url, problem=problem, group=group) for group in GROUPS]
            for one in tables:
                with one.read():  # creates what is missing, before the instant that is read
                    pass
            source = stack.enter_context(tables[0].read())
            for group in GROUPS:
                with _file_for_writing(folder, problem, group) as target:
                    copied = _copy(source, target, group, where=str(folder))
                if copied:
                    files[f"{group.name}/{problem}.db"] = folder / group.name / f"{problem}.db"
    return files


def import_files(root: Path, database_url: str) -> int:
    """Copy the SQLite files of a home to PostgreSQL, each problem and group in one transaction; returns the rows.

    A file is renamed to `<problem>.db.moved` after its rows are committed.

    Raises:
        ConflictError: PostgreSQL has rows of a problem already.
    """
    from headrace.database.postgresql import PostgresqlTables

    copied = 0
    for problem in problems(root):
        for group in reversed(GROUPS):
            path = root / group.name / f"{problem}.db"
            if not path.exists():
                continue
            target = PostgresqlTables(address=database_url, problem=problem, group=group)
            with _file_for_reading(root, problem, group) as source, target.write() as connection:
                copied += _copy(source, connection, group, where=target.place)
            _retire(path)
    return copied


def problems(root: Path) -> tuple[str, ...]:
    """Return the names of the problems that a home has data or state of."""
    lakes = (path.name for path in (root / "lake").glob("*") if path.is_dir() and not path.name.startswith("."))
    files = (path.stem for group in GROUPS for path in (root / group.name).glob("*.db"))
    return tuple(sorted({*lakes, *files}))


@contextmanager
def _file_for_writing(folder: Path, problem: str, group: TableGroup) -> Iterator[Connection]:
    if group is PREDICTIONS:
        with PredictionFile(folder, problem) as log, log.writing() as connection:
            yield connection
        return
    from headrace.database.sealed_file import SealedFile

    with SealedFile(path=folder / group.name / f"{problem}.db", group=group).write() as connection:
        yield connection


@contextmanager
def _file_for_reading(folder: Path, problem: str, group: TableGroup) -> Iterator[Connection]:
    if group is PREDICTIONS:
        with PredictionFile(folder, problem) as log, log.connected() as connection:
            yield connection
        return
    from headrace.database.sealed_file import SealedFile

    with SealedFile(path=folder / group.name / f"{problem}.db", group=group).read() as connection:
        yield connection


def _copy(source: Connection, target: Connection, group: TableGroup, *, where: str) -> int:
    from headrace.database.copying import copy_rows

    return copy_rows(source, target, group, where=where)


def _retire(path: Path) -> None:
    """Rename a file whose rows are in PostgreSQL, after its write-ahead log was written back to it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.rename(path.with_name(f"{path.name}.moved"))
    path.with_name(f".{path.name}.serial").unlink(missing_ok=True)
