"""The online store's SQLite file: for each feature view, one row per entity key with its values at one tick.

Feast's own SQLite store has a row per key and feature, each a protobuf. Here a view is one table with a row per key,
whose features are packed into one value (`packed`); a refresh is one transaction together with its watermark. So a
reader sees the values and the tick of one refresh, and a killed writer leaves the previous refresh unchanged. Views
that Headrace did not synthesise have a column per feature (`tables`).

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
from headrace.core.sqlite_files import (
    SelfClosingConnection,
    accepts_writes,
    failure,
    is_damage,
    is_refused_by_header,
    is_statement_error,
    require_sound,
    set_aside,
    translated,
)
from headrace.store.online_file.packed import DamagedRowError
from headrace.store.online_file.reading import RowReader, packed_rows_match
from headrace.store.online_file.tables import (
    CHECKSUM,
    CHECKSUM_FUNCTION,
    CREATE_LAYOUTS,
    CREATE_WATERMARKS,
    EVENT,
    MAX_VERIFIED_ROWS,
    SELECT_WATERMARKS,
    RowQuery,
    RowResult,
    Watermark,
    all_checksums_match,
    checksum_to_fill,
    create_table,
    error_text,
    fill_checksums,
    insert_statement,
    key_column,
    packed_layout,
    quoted,
    read_transaction,
    row_checksum,
    schema_matches,
    seal_schema,
    table_columns,
    watermark_of,
)
from headrace.store.online_file.writing import PackedWriter, unpack_table, update_packed

_log = logging.getLogger(__name__)
_connection_numbers = itertools.count()

#: Seconds a writer or reader waits for another process's transaction.
LOCK_TIMEOUT_S = 60.0


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
        """Replace all rows of a view in one transaction; a row that has not changed is not written.

        Args:
            watermark: The new watermark; its `rows` is ignored.
            join_keys: Names of the key columns.
            columns: Names of the feature columns.
            batches: Tables with these columns.

        Returns:
            The number of rows.
        """
        with self._writing() as connection:
            writer = PackedWriter(connection, watermark, join_keys, columns)
            for batch in batches:
                writer.write(batch)
            rows = writer.finish()
        return rows

    def upsert(
        self, view: str, join_keys: Sequence[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert or update single rows of a view, as a Feast push does; its watermark does not change.

        A damaged row stays damaged, unless all of its columns are written.

        Args:
            view: Name of the view.
            join_keys: Names of the key columns.
            columns: Names of the columns to write, EVENT among them to set event times; others keep their values.
            rows: Values of join keys and columns.
        """
        with self._writing() as connection:
            if packed_layout(connection, view) is not None:
                update_packed(connection, view, join_keys, columns, rows)
                return
            create_table(connection, view, join_keys, [name for name in columns if name != EVENT])
            keys = ",".join(map(key_column, join_keys))
            sets = ",".join(f"{quoted(name)}=excluded.{quoted(name)}" for name in columns)
            own = {CHECKSUM, *columns, *(f"key {name}" for name in join_keys)}
            is_whole = own >= set(table_columns(connection, view))
            sets += f",{quoted(CHECKSUM)}={'NULL' if is_whole else checksum_to_fill(connection, view)}"
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
            try:
                layout = packed_layout(connection, view)
            except DamagedRowError:  # the next refresh makes the table anew
                return
            if layout is not None:
                if not grow or set(columns) <= set(layout.names):
                    return
                unpack_table(connection, view, join_keys)
            create_table(connection, view, join_keys, columns)
            present = table_columns(connection, view)
            new = [name for name in columns if name not in present] if grow else []
            if new:
                sums = f"{quoted(CHECKSUM)} = {checksum_to_fill(connection, view)}"
                connection.execute(f"UPDATE {quoted(view)} SET {sums}")
            for name in new:
                connection.execute(f"ALTER TABLE {quoted(view)} ADD COLUMN {quoted(name)}")
            fill_checksums(connection, view)

    def drop(self, view: str) -> None:
        """Delete a view's table and watermark."""
        with self._writing() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {quoted(view)}")
            for name in ("headrace_watermarks", "headrace_layouts"):
                connection.execute(f"DELETE FROM {name} WHERE view = ?", (view,))

    def is_sound(self) -> bool:
        """Whether the file passes SQLite's integrity check and has the recorded schema, or does not exist.

        Raises:
            UnavailableError: The file cannot be read, for example as the disk fails or another process has locked it.
        """
        try:
            require_sound(self.path, "", indexes=True)
            with translated(self.path, ""):
                if (connection := self._reader()) is None:
                    return True
                with read_transaction(connection):
                    return schema_matches(connection)
        except CorruptError:
            self._forget_reader()
            return False

    def set_aside_if_damaged(self) -> None:
        """Move a damaged file away; the next refresh of each view writes it again from the lake.

        Raises:
            UnavailableError: The file cannot be read or written.
        """
        if not self.path.exists() or (self.is_sound() and accepts_writes(self.path, LOCK_TIMEOUT_S)):
            return
        aside = set_aside(self.path)
        _log.warning(
            "%s is damaged (now %s): its views are written anew from the lake; rows that were pushed by themselves are "
            "in that file only",
            self.path,
            aside.name,
        )

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
        if connection is None or self.count(view) > MAX_VERIFIED_ROWS:
            return True
        try:
            layout = packed_layout(connection, view)
            if layout is not None:
                return packed_rows_match(connection, view, layout)
            return all_checksums_match(connection, view)
        except (sqlite3.DatabaseError, UnicodeDecodeError, DamagedRowError):
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
                return [self._local.reader.read(query) for query in queries]
        except DamagedRowError:
            raise self._corrupt() from None
        except (sqlite3.DatabaseError, OSError, UnicodeDecodeError) as error:
            self._forget_reader()
            raise self._unreadable(error) from error

    def _corrupt(self) -> CorruptError:
        fix = "delete it (and its -wal and -shm): the next materialisation writes it anew"
        return CorruptError("the online store is damaged", where=str(self.path), fix=fix)

    def _unreadable(self, error: Exception) -> HeadraceError:
        if self._is_damage(error):
            return self._corrupt()
        return UnavailableError(f"the online store cannot be read: {error_text(error)}", where=str(self.path))

    def _is_damage(self, error: BaseException) -> bool:
        """Whether an error comes from damage, also where SQLite only says that it does not know a name of a changed
        schema, or that the file is read only."""
        if isinstance(error, DamagedRowError) or is_damage(error) or is_refused_by_header(error, self.path):
            return True
        return is_statement_error(error) and not self.is_sound()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.create_function(CHECKSUM_FUNCTION, -1, row_checksum, deterministic=True)
            connection.execute("BEGIN IMMEDIATE")
            if not schema_matches(connection):
                raise DamagedRowError
            connection.execute(CREATE_WATERMARKS)
            connection.execute(CREATE_LAYOUTS)
            yield connection
            seal_schema(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if self._is_damage(error):
                raise self._corrupt() from None
            if isinstance(error, sqlite3.Error) and (unusable := failure(error, self.path, "")) is not None:
                raise unusable from error
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
            self._local.identity, self._local.reader = identity, RowReader(self._local.connection)
            self._local.number = next(_connection_numbers)
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _forget_reader(self) -> None:
        """Close this thread's connection: the next read opens the file anew."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.identity = self._local.connection = self._local.reader = None
