"""The online store's SQLite file: for each feature view, one row per entity key with its values at one tick.

Feast's own SQLite store has a row per key and feature, each a protobuf. Here a view is one table with a column per
feature, replaced in one transaction together with its watermark. So a reader sees the values and the tick of one
refresh, and a killed writer leaves the previous refresh unchanged. The SQL is in `store.online_file.tables`.

A row that was pushed by itself has its own event time (us) in the column EVENT; null means the view's last refresh.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.errors import CorruptError, HeadraceError, UnavailableError
from headrace.core.sqlite_files import SelfClosingConnection, require_sound, set_aside
from headrace.store.online_file.tables import (
    CHECKSUM,
    CHECKSUM_FUNCTION,
    CREATE_WATERMARKS,
    EVENT,
    SELECT_WATERMARKS,
    RowQuery,
    RowResult,
    Watermark,
    all_checksums_match,
    checksum_expression,
    create_table,
    error_text,
    fill_checksums,
    insert_statement,
    key_column,
    quoted,
    read_transaction,
    row_checksum,
    table_columns,
    watermark_of,
)

_log = logging.getLogger(__name__)
_connection_numbers = itertools.count()

#: Seconds a writer or reader waits for another process's transaction.
LOCK_TIMEOUT_S = 60.0
#: Largest view whose checksums are all compared; for more rows that would take too long.
_MAX_VERIFIED_ROWS = 200_000


class RowStore:
    """The online rows of all problems, in one file. Thread-safe: each thread has its own connection.

    Args:
        path: The SQLite file; created at the first write.
    """

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
        """Replace all rows of a view in one transaction.

        Args:
            watermark: The new watermark; its `rows` is ignored.
            join_keys: Names of the key columns.
            columns: Names of the feature columns.
            batches: Tables with these columns.

        Returns:
            The number of rows.
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
        """Insert or update single rows of a view, as a Feast push does; its watermark does not change.

        Args:
            view: Name of the view.
            join_keys: Names of the key columns.
            columns: Names of the columns to write, EVENT among them to set event times; others keep their values.
            rows: Values of join keys and columns.
        """
        with self._writing() as connection:
            create_table(connection, view, join_keys, [name for name in columns if name != EVENT])
            keys = ",".join(map(key_column, join_keys))
            sets = ",".join(f"{quoted(name)}=excluded.{quoted(name)}" for name in (*columns, CHECKSUM))
            insert = insert_statement(view, join_keys, columns)
            connection.executemany(f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {sets}", rows)
            fill_checksums(connection, view)

    def ensure(self, view: str, join_keys: Sequence[str], columns: Sequence[str], *, grow: bool = False) -> None:
        """Create the table of a view where it does not exist.

        Args:
            view: Name of the view.
            join_keys: Names of the key columns.
            columns: Names of the feature columns.
            grow: Add missing columns to an existing table, for views without refreshes.
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
        """Delete a view's table and watermark."""
        with self._writing() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {quoted(view)}")
            connection.execute("DELETE FROM headrace_watermarks WHERE view = ?", (view,))

    def is_sound(self) -> bool:
        """Whether the file passes SQLite's integrity check, or does not exist."""
        try:
            require_sound(self.path, "")
        except CorruptError:
            return False
        return True

    def set_aside_if_damaged(self) -> None:
        """Move a damaged file away; the next refresh of each view writes it again from the lake."""
        if not self.is_sound():
            aside = set_aside(self.path)
            _log.warning("%s is damaged (now %s): its views are written anew from the lake", self.path, aside.name)

    def watermarks(self) -> dict[str, Watermark]:
        """Return the watermark of every view that has one."""
        try:
            rows = connection.execute(SELECT_WATERMARKS).fetchall() if (connection := self._reader()) else []
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return {}
        return {row[0]: watermark_of(row) for row in rows}

    def version(self) -> tuple[int, int] | None:
        """Return what changes with every commit, comparable within a thread; None where the file cannot be read."""
        try:
            row = connection.execute("PRAGMA data_version").fetchone() if (connection := self._reader()) else None
        except (sqlite3.DatabaseError, OSError):
            return None
        return None if row is None else (self._local.number, int(row[0]))

    def count(self, view: str) -> int:
        """Return the number of rows of a view; 0 where it has no table."""
        if (connection := self._reader()) is None:
            return 0
        try:
            return int(connection.execute(f"SELECT count(*) FROM {quoted(view)}").fetchone()[0])
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return 0

    def checksums_match(self, view: str) -> bool:
        """Whether all row checksums of a view match; True without a check for very large views."""
        connection = self._reader()
        if connection is None or self.count(view) > _MAX_VERIFIED_ROWS:
            return True
        try:
            return all_checksums_match(connection, view)
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False

    def read(self, queries: Sequence[RowQuery]) -> list[RowResult]:
        """Read rows of several views in one transaction.

        Raises:
            CorruptError: The file or a row is damaged.
            UnavailableError: The file cannot be read.
        """
        try:
            connection = self._reader()
            if connection is None:
                return [RowResult(watermark=None, rows=[None] * len(query.keys)) for query in queries]
            with read_transaction(connection):
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
        """Return the SQL condition that a row's checksum matches (null for rows without one), cached per schema."""
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
        return UnavailableError(f"the online store cannot be read: {error_text(error)}", where=str(self.path))

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
        """Return this thread's connection; a new one after the file was replaced, None while there is no file."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        identity = (stat.st_dev, stat.st_ino)
        if getattr(self._local, "identity", None) != identity:
            self._forget_reader()
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            self._local.connection = sqlite3.connect(
                uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None,
                check_same_thread=False, factory=SelfClosingConnection,
            )  # fmt: skip
            self._local.connection.create_function(CHECKSUM_FUNCTION, -1, row_checksum, deterministic=True)
            self._local.identity, self._local.conditions = identity, {}
            self._local.number = next(_connection_numbers)
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _forget_reader(self) -> None:
        """Close this thread's connection: the next read opens the file anew."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.identity = self._local.connection = None
