"""The prediction log of one problem in an SQLite file: an answer leaves only once its row is on disk.

SQLite in WAL mode with synchronous=FULL: a commit that returned survives a power cut. The same id again is the same
prediction and changes nothing. Rows are written through Python's sqlite3, because a call may wait for them, and read
through SQLAlchemy, as those of PostgreSQL are (`queries`).
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, select

from headrace.core.errors import CorruptError, HeadraceError, UnavailableError
from headrace.core.sqlite_files import SelfClosingConnection
from headrace.database.sqlite_connection import over, without_wrapper
from headrace.database.sqlite_tables import has_table, prepare
from headrace.prediction_log.packed_features import FeatureNames, names_by_digest
from headrace.prediction_log.queries import PredictionQueries
from headrace.prediction_log.rows import (
    ADDED,
    INSERT_NAMES,
    NAMES,
    PROBE,
    ROWS_AT_ONCE,
    insert_statement,
    to_row,
)
from headrace.prediction_log.tables import PREDICTIONS, feature_names

_DAMAGED = (
    "bring it back from a backup, or move it and its -wal and -shm away: a new one is begun, without what is in it"
)


class PredictionFile(PredictionQueries):
    """The prediction log of one problem in a file, opened at first use. Safe for many threads and processes.

    Every method raises CorruptError where the file is damaged, and UnavailableError where it cannot be read or written;
    the next use opens the file again.
    """

    def __init__(self, root: Path, problem: str) -> None:
        self.path = Path(root) / "predictions" / f"{problem}.db"
        self._lock = threading.Lock()
        self._open_connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._names: dict[bytes, FeatureNames] = {}

    @property
    def place(self) -> str:
        """The file, for messages."""
        return str(self.path)

    @property
    def fix(self) -> str:
        """What to do about damaged rows, for errors."""
        return _DAMAGED

    def insert(self, values: Sequence[tuple[Any, ...]], names: Collection[FeatureNames]) -> int:
        """Write rows in one transaction, durable on return; returns the number of new ones.

        Args:
            values: Values of each row in the order of `STORED`.
            names: Names of their packed features.
        """
        with self.raw() as connection:
            with connection:
                new = {item.digest: item for item in names if item.digest not in self._names}
                connection.executemany(INSERT_NAMES, [(digest, item.content) for digest, item in new.items()])
                before = connection.total_changes
                for start in range(0, len(values), ROWS_AT_ONCE):
                    part = values[start : start + ROWS_AT_ONCE]
                    connection.execute(insert_statement(len(part)), [value for row in part for value in row])
            self._names.update(new)
            return connection.total_changes - before

    def check_writable(self) -> None:
        """Check that an append would succeed, without adding a row; raises what it would raise.

        An insert that is rolled back detects a damaged or locked file; rewriting the file's header detects a disk that
        is full or read-only.
        """
        with self.raw() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(insert_statement(1), to_row(replace(PROBE, id=uuid.uuid4().hex)))
            finally:
                connection.rollback()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {int(version)}")

    def vacuum(self) -> None:
        """Give the space of removed rows back to the disk. It is needed twice meanwhile, and writers wait."""
        with self.raw() as raw:
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._close_connection()

    def __enter__(self) -> PredictionFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Yield a connection for reading; errors become HeadraceErrors."""
        with self.raw() as raw, without_wrapper(), over(raw) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection with an open transaction, committed at the end of the block."""
        with self.raw() as raw, without_wrapper(), over(raw) as connection, _transaction(raw):
            yield connection

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection to one thread at a time; errors become HeadraceErrors."""
        with self._lock:
            try:
                yield self._connection()
            except (sqlite3.DatabaseError, OSError, UnicodeDecodeError) as error:
                self._close_connection()
                raise _failure(error, self.path) from error

    def _connection(self) -> sqlite3.Connection:
        if self._open_connection is not None and self._identity != _identity(self.path):
            self._close_connection()
        if self._open_connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open_connection = sqlite3.connect(
                self.path, timeout=30, check_same_thread=False, factory=SelfClosingConnection
            )
            self._open_connection.execute("PRAGMA journal_mode = WAL")
            self._open_connection.execute("PRAGMA synchronous = FULL")
            self._names = {}
            _require_columns(self._open_connection, self.path)
            prepare(self._open_connection, PREDICTIONS, self.path, _transaction)
            self._identity = _identity(self.path)
        return self._open_connection

    def names_of(self, connection: Connection, digest: bytes) -> FeatureNames:
        """Return the names of packed features by their digest."""
        if digest not in self._names:
            rows = [(row.digest, row.content) for row in connection.execute(select(feature_names))]
            self._names = names_by_digest(rows, self.place)
        if digest not in self._names:
            raise CorruptError("the prediction log lacks the names of features", where=self.place, fix=self.fix)
        return self._names[digest]

    def _close_connection(self) -> None:
        if self._open_connection is not None:
            self._open_connection.close()
            self._open_connection = None


def _require_columns(raw: sqlite3.Connection, path: Path) -> None:
    """Refuse a log of a release before the first one whose logs are migrated."""
    present = {column[1] for column in raw.execute("PRAGMA table_info(predictions)")}
    if has_table(raw, "predictions") and (lacking := [name for name in NAMES if name not in present | set(ADDED)]):
        raise CorruptError(
            f"the prediction log has an older format: it lacks the column {lacking[0]!r}",
            where=str(path),
            fix="read it with the version that wrote it, and move it away: a new one is begun",
        )


@contextmanager
def _transaction(raw: sqlite3.Connection) -> Iterator[None]:
    raw.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        raw.rollback()
        raise
    raw.commit()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _failure(error: Exception, path: Path) -> HeadraceError:
    damaged = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if damaged or "decode" in str(error):
        return CorruptError("the prediction log is damaged", where=str(path), found=[error], fix=_DAMAGED)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    fix = "see that its disk is there, is writable and is not full"
    return UnavailableError(f"the prediction log cannot be used: {reason}", where=str(path), fix=fix)
