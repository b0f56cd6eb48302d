"""One SQLite file that holds, for each view, one row per entity key as of one tick.

Against Feast's own SQLite store (a row per key AND feature, a protobuf in each, an upsert at a time) this is a plain
table: key columns, a column per feature, written whole in one transaction together with its watermark. So a reader sees
the values and the tick of one refresh, never a mixture, and a writer that is killed leaves the last refresh standing.

Feature columns have no declared type: SQLite would turn -0.0 in a REAL column into 0. Names are quoted with backticks,
for a name in double quotes that does not exist silently becomes a string. A row that was pushed by itself has its own
event time (us) in the column EVENT; null there means the view's last refresh.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.errors import CorruptError, HeadraceError, UnavailableError
from headrace.core.sqlite_files import require_sound, set_aside
from headrace.store.row_tables import (
    CHECKSUM,
    CHECKSUM_FUNCTION,
    CREATE_WATERMARKS,
    EVENT,
    SELECT_WATERMARKS,
    RowQuery,
    RowResult,
    Watermark,
    checksum_expression,
    create_table,
    fill_checksums,
    insert_statement,
    key_column,
    quoted,
    row_checksum,
    table_columns,
    watermark_of,
)

_log = logging.getLogger(__name__)

#: Seconds a writer or reader waits for another process's transaction.
LOCK_TIMEOUT_S = 60.0
#: Rows of a view up to which `is_current`'s caller has every checksum compared; more take too long for a look.
_MAX_VERIFIED_ROWS = 200_000


class RowStore:
    """The online rows of every problem, in one file. Safe to share between threads; each has its own connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def replace(
        self,
        watermark: Watermark,
        join_keys: Sequence[str],
        columns: Sequence[str],
        batches: Iterable[pa.Table],
    ) -> int:
        """Write a view anew from tables that hold join keys and columns; returns its number of rows.

        watermark.rows is not looked at. All or nothing: until this returns, readers see the previous refresh.
        """
        table = quoted(watermark.view)
        rows = 0
        with self._writing() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            create_table(connection, watermark.view, join_keys, columns)
            insert = insert_statement(watermark.view, join_keys, columns)
            for batch in batches:
                values = zip(*(batch[name].to_pylist() for name in (*join_keys, *columns)), strict=True)
                connection.executemany(insert, values)
                rows += batch.num_rows
            fill_checksums(connection, watermark.view)
            connection.execute(
                "INSERT OR REPLACE INTO headrace_watermarks VALUES (?,?,?,?,?)",
                (watermark.view, watermark.tick_us, rows, watermark.layout, watermark.history),
            )
        return rows

    def upsert(
        self, view: str, join_keys: Sequence[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Put single rows [join keys, columns] into a view, as a Feast push does; its watermark stays.

        A column of the view that is not among these keeps what it holds. Name EVENT among them to give rows a time.
        """
        with self._writing() as connection:
            create_table(connection, view, join_keys, [name for name in columns if name != EVENT])
            keys = ",".join(map(key_column, join_keys))
            sets = ",".join(f"{quoted(name)}=excluded.{quoted(name)}" for name in (*columns, CHECKSUM))
            insert = insert_statement(view, join_keys, columns)
            connection.executemany(f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {sets}", rows)
            fill_checksums(connection, view)

    def ensure(self, view: str, join_keys: Sequence[str], columns: Sequence[str], *, grow: bool = False) -> None:
        """Make a view's empty table if there is none; one that exists is left alone until its next refresh.

        grow: columns that the table lacks are added, without values. For views that have no refresh.
        """
        with self._writing() as connection:
            create_table(connection, view, join_keys, columns)
            present = table_columns(connection, view)
            for name in columns if grow else ():
                if name not in present:
                    connection.execute(f"ALTER TABLE {quoted(view)} ADD COLUMN {quoted(name)}")
                    connection.execute(f"UPDATE {quoted(view)} SET {quoted(CHECKSUM)} = NULL")
            fill_checksums(connection, view)

    def drop(self, view: str) -> None:
        """Forget a view."""
        with self._writing() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {quoted(view)}")
            connection.execute("DELETE FROM headrace_watermarks WHERE view = ?", (view,))

    def is_sound(self) -> bool:
        """Whether SQLite finds nothing wrong with the file; where there is none, nothing is."""
        try:
            require_sound(self.path, "")
        except CorruptError:
            return False
        return True

    def set_aside_if_damaged(self) -> None:
        """Move a damaged file away: every view is written anew, from the lake, at its next refresh."""
        if not self.is_sound():
            aside = set_aside(self.path)
            _log.warning("%s is damaged (now %s): its views are written anew from the lake", self.path, aside.name)

    def watermarks(self) -> dict[str, Watermark]:
        """Every written view's last refresh."""
        connection = self._reader()
        if connection is None:
            return {}
        try:
            rows = connection.execute(SELECT_WATERMARKS).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return {}
        return {row[0]: watermark_of(row) for row in rows}

    def count(self, view: str) -> int:
        """How many rows a view holds now; 0 where it has no table."""
        connection = self._reader()
        if connection is None:
            return 0
        try:
            return int(connection.execute(f"SELECT count(*) FROM {quoted(view)}").fetchone()[0])
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return 0

    def checksums_match(self, view: str) -> bool:
        """Whether every row of a view is as it was written; True without a look where there are very many."""
        connection = self._reader()
        if connection is None or self.count(view) > _MAX_VERIFIED_ROWS:
            return True
        try:
            if CHECKSUM not in table_columns(connection, view):
                return True
            differ = f"{quoted(CHECKSUM)} <> {checksum_expression(connection, view)}"
            return connection.execute(f"SELECT 1 FROM {quoted(view)} WHERE {differ} LIMIT 1").fetchone() is None
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False

    def read(self, queries: Sequence[RowQuery]) -> list[RowResult]:
        """Rows of several views, all from one state of the file. Raises CorruptError or UnavailableError."""
        try:
            connection = self._reader()
            if connection is None:
                return [RowResult(watermark=None, rows=[None] * len(query.keys)) for query in queries]
            with _read_transaction(connection):
                return [self._read_view(connection, query) for query in queries]
        except (sqlite3.DatabaseError, OSError, UnicodeDecodeError) as error:
            self._forget_reader()
            raise self._unreadable(error) from error

    def _read_view(self, connection: sqlite3.Connection, query: RowQuery) -> RowResult:
        where = " AND ".join(f"{key_column(name)}=?" for name in query.join_keys)
        try:
            columns = ",".join((*map(quoted, query.columns), self._checksum_condition(connection, query.view)))
            statement = f"SELECT {columns} FROM {quoted(query.view)} WHERE {where}"
            mark = connection.execute(f"{SELECT_WATERMARKS} WHERE view = ?", (query.view,)).fetchone()
            rows_by_key: dict[tuple[Any, ...], tuple[Any, ...] | None] = {}
            for key in query.keys:
                if key not in rows_by_key:
                    row = None if None in key else connection.execute(statement, key).fetchone()
                    if row is not None and row[-1] == 0:
                        raise self._corrupt()
                    rows_by_key[key] = None if row is None else row[:-1] or (1,)
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise
            return RowResult(watermark=None, rows=[None] * len(query.keys))
        return RowResult(
            watermark=None if mark is None else watermark_of(mark), rows=[rows_by_key[key] for key in query.keys]
        )

    def _checksum_condition(self, connection: sqlite3.Connection, view: str) -> str:
        """SQL for whether a row is as it was written (0, 1, or null in rows of before); worked out once for each state
        of the file's tables."""
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        conditions: dict[tuple[int, str], str] = self._local.conditions
        if (version, view) not in conditions:
            has_sums = CHECKSUM in table_columns(connection, view)
            conditions[version, view] = (
                f"{quoted(CHECKSUM)} = {checksum_expression(connection, view)}" if has_sums else "NULL"
            )
        return conditions[version, view]

    def _corrupt(self) -> CorruptError:
        fix = "delete it (and its -wal and -shm): the next materialisation writes it anew"
        return CorruptError("the online store is damaged", where=str(self.path), fix=fix)

    def _unreadable(self, error: Exception) -> HeadraceError:
        damaged = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        if damaged or isinstance(error, UnicodeDecodeError):
            return self._corrupt()
        return UnavailableError(f"the online store cannot be read: {_error_text(error)}", where=str(self.path))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.create_function(CHECKSUM_FUNCTION, -1, row_checksum, deterministic=True)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(CREATE_WATERMARKS)
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
                raise self._corrupt() from None
            raise
        finally:
            connection.close()

    def _reader(self) -> sqlite3.Connection | None:
        """This thread's connection; a new one when the file was replaced, None while there is no file."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        identity = (stat.st_dev, stat.st_ino)
        if getattr(self._local, "identity", None) != identity:
            self._forget_reader()
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            self._local.connection = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None)
            self._local.connection.create_function(CHECKSUM_FUNCTION, -1, row_checksum, deterministic=True)
            self._local.identity, self._local.conditions = identity, {}
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _forget_reader(self) -> None:
        """Close this thread's connection: the next read opens the file anew."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.identity = self._local.connection = None


def _error_text(error: Exception) -> str:
    """An error in words that name no path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


@contextmanager
def _read_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All reads inside see the file as it is at the first of them."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")
