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
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.database import require_sound, set_aside
from headrace.core.errors import CorruptError, HeadraceError, UnavailableError

_log = logging.getLogger(__name__)

#: Seconds a writer or reader waits for another process's transaction.
LOCK_TIMEOUT_S = 60.0
_WATERMARKS = (
    "CREATE TABLE IF NOT EXISTS headrace_watermarks "
    "(view TEXT PRIMARY KEY, tick_us INTEGER, rows INTEGER, layout TEXT, history TEXT)"
)
#: A checksum of all other columns of a row, null in rows of before: a value that changed on disk is never served.
_SUM = "row sum"
#: SQL's name for `_sum_of`.
_SUM_OF = "headrace_sum"
_ARGUMENTS = 100
#: Rows of a view up to which `is_current`'s caller has every checksum compared; more take too long for a look.
_FEW_ROWS = 200_000
#: A row's own event time. It can be read like a feature's column.
EVENT = "row event_us"
_READ_MARKS = "SELECT view, tick_us, rows, layout, history FROM headrace_watermarks"


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """A view's last refresh. layout: digest of its definitions; history: fingerprint of the snapshot it came from."""

    view: str
    tick_us: int
    rows: int
    layout: str
    history: str


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Rows to read from one view: one tuple of `keys` a row, its values in the order of `join_keys`."""

    view: str
    join_keys: tuple[str, ...]
    columns: tuple[str, ...]
    keys: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one view holds of an Ask: rows [n], each a tuple of the asked columns or None for an unknown key.

    watermark None: the view was never written, or lacks a column that was asked for; then every row is None.
    """

    watermark: Watermark | None
    rows: list[tuple[Any, ...] | None]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _key(name: str) -> str:
    return _quoted(f"key {name}")


def _insert(view: str, join_keys: Sequence[str], columns: Sequence[str]) -> str:
    names = ",".join([*map(_key, join_keys), *map(_quoted, columns)])
    marks = ",".join("?" * (len(join_keys) + len(columns)))
    return f"INSERT INTO {_quoted(view)} ({names}) VALUES ({marks})"


def _columns(connection: sqlite3.Connection, view: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({_quoted(view)})")]


def _sum_of(*values: Any) -> int:
    """The checksum of a row's values, as SQLite holds them."""
    return zlib.crc32(repr(values).encode())


def _sum_sql(connection: sqlite3.Connection, view: str) -> str:
    """The checksum of a view's row as an SQL expression. A function of SQL takes 127 values at most, so that of many
    columns is made of parts."""
    columns = [_quoted(name) for name in _columns(connection, view) if name != _SUM]
    expression = ""
    for at in range(0, len(columns), _ARGUMENTS):
        expression = f"{_SUM_OF}({','.join([expression, *columns[at : at + _ARGUMENTS]][not expression :])})"
    return expression


def _fill_sums(connection: sqlite3.Connection, view: str) -> None:
    """Write the checksums of rows that have none."""
    table, own = _quoted(view), _quoted(_SUM)
    connection.execute(f"UPDATE {table} SET {own} = {_sum_sql(connection, view)} WHERE {own} IS NULL")


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
        table = _quoted(watermark.view)
        rows = 0
        with self._writing() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            self._create(connection, watermark.view, join_keys, columns)
            insert = _insert(watermark.view, join_keys, columns)
            for batch in batches:
                values = zip(*(batch[name].to_pylist() for name in (*join_keys, *columns)), strict=True)
                connection.executemany(insert, values)
                rows += batch.num_rows
            _fill_sums(connection, watermark.view)
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
            self._create(connection, view, join_keys, [name for name in columns if name != EVENT])
            keys = ",".join(map(_key, join_keys))
            sets = ",".join(f"{_quoted(name)}=excluded.{_quoted(name)}" for name in (*columns, _SUM))
            insert = _insert(view, join_keys, columns)
            connection.executemany(f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {sets}", rows)
            _fill_sums(connection, view)

    def ensure(self, view: str, join_keys: Sequence[str], columns: Sequence[str], *, grow: bool = False) -> None:
        """Make a view's empty table if there is none; one that exists is left alone until its next refresh.

        grow: columns that the table lacks are added, without values. For views that have no refresh.
        """
        with self._writing() as connection:
            self._create(connection, view, join_keys, columns)
            present = _columns(connection, view)
            for name in columns if grow else ():
                if name not in present:
                    connection.execute(f"ALTER TABLE {_quoted(view)} ADD COLUMN {_quoted(name)}")
                    connection.execute(f"UPDATE {_quoted(view)} SET {_quoted(_SUM)} = NULL")
            _fill_sums(connection, view)

    def drop(self, view: str) -> None:
        """Forget a view."""
        with self._writing() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {_quoted(view)}")
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
            found = connection.execute(_READ_MARKS).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return {}
        return {row[0]: _watermark(row) for row in found}

    def count(self, view: str) -> int:
        """How many rows a view holds now; 0 where it has no table."""
        connection = self._reader()
        if connection is None:
            return 0
        try:
            return int(connection.execute(f"SELECT count(*) FROM {_quoted(view)}").fetchone()[0])
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return 0

    def sums_hold(self, view: str) -> bool:
        """Whether every row of a view is as it was written; True without a look where there are very many."""
        connection = self._reader()
        if connection is None or self.count(view) > _FEW_ROWS:
            return True
        try:
            if _SUM not in _columns(connection, view):
                return True
            differ = f"{_quoted(_SUM)} <> {_sum_sql(connection, view)}"
            return connection.execute(f"SELECT 1 FROM {_quoted(view)} WHERE {differ} LIMIT 1").fetchone() is None
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False

    def read(self, asks: Sequence[Ask]) -> list[Found]:
        """Rows of several views, all from one state of the file. Raises CorruptError or UnavailableError."""
        try:
            connection = self._reader()
            if connection is None:
                return [Found(watermark=None, rows=[None] * len(ask.keys)) for ask in asks]
            with _one_state(connection):
                return [self._read_view(connection, ask) for ask in asks]
        except (sqlite3.DatabaseError, OSError, UnicodeDecodeError) as error:
            self._forget_reader()
            raise self._unreadable(error) from error

    def _read_view(self, connection: sqlite3.Connection, ask: Ask) -> Found:
        where = " AND ".join(f"{_key(name)}=?" for name in ask.join_keys)
        try:
            columns = ",".join((*map(_quoted, ask.columns), self._holds(connection, ask.view)))
            statement = f"SELECT {columns} FROM {_quoted(ask.view)} WHERE {where}"
            mark = connection.execute(f"{_READ_MARKS} WHERE view = ?", (ask.view,)).fetchone()
            seen: dict[tuple[Any, ...], tuple[Any, ...] | None] = {}
            for key in ask.keys:
                if key not in seen:
                    row = None if None in key else connection.execute(statement, key).fetchone()
                    if row is not None and row[-1] == 0:
                        raise self._corrupt()
                    seen[key] = None if row is None else row[:-1] or (1,)
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise
            return Found(watermark=None, rows=[None] * len(ask.keys))
        return Found(watermark=None if mark is None else _watermark(mark), rows=[seen[key] for key in ask.keys])

    def _holds(self, connection: sqlite3.Connection, view: str) -> str:
        """SQL for whether a row is as it was written (0, 1, or null in rows of before); worked out once for each state
        of the file's tables."""
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        known: dict[tuple[int, str], str] = self._local.holds
        if (version, view) not in known:
            has_sums = _SUM in _columns(connection, view)
            known[version, view] = f"{_quoted(_SUM)} = {_sum_sql(connection, view)}" if has_sums else "NULL"
        return known[version, view]

    @staticmethod
    def _create(connection: sqlite3.Connection, view: str, join_keys: Sequence[str], columns: Sequence[str]) -> None:
        keys = ",".join(f"{_key(name)} NOT NULL" for name in join_keys)
        features = "".join(f",{_quoted(name)}" for name in columns)
        primary = ",".join(map(_key, join_keys))
        event = f",{_quoted(EVENT)}"
        table = f"{keys}{features}{event},{_quoted(_SUM)}, PRIMARY KEY ({primary})"
        connection.execute(f"CREATE TABLE IF NOT EXISTS {_quoted(view)} ({table})")
        present = _columns(connection, view)
        for name in (EVENT, _SUM):
            if name not in present:  # a table of an earlier version
                connection.execute(f"ALTER TABLE {_quoted(view)} ADD COLUMN {_quoted(name)}")

    def _corrupt(self) -> CorruptError:
        fix = "delete it (and its -wal and -shm): the next materialisation writes it anew"
        return CorruptError("the online store is damaged", where=str(self.path), fix=fix)

    def _unreadable(self, error: Exception) -> HeadraceError:
        damaged = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        if damaged or isinstance(error, UnicodeDecodeError):
            return self._corrupt()
        return UnavailableError(f"the online store cannot be read: {_why(error)}", where=str(self.path))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.create_function(_SUM_OF, -1, _sum_of, deterministic=True)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_WATERMARKS)
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
            self._local.connection.create_function(_SUM_OF, -1, _sum_of, deterministic=True)
            self._local.identity, self._local.holds = identity, {}
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _forget_reader(self) -> None:
        """Close this thread's connection: the next read opens the file anew."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.identity = self._local.connection = None


def _why(error: Exception) -> str:
    """An error in words that name no path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    """All reads inside see the file as it is at the first of them."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


def _watermark(row: tuple[Any, ...]) -> Watermark:
    return Watermark(view=row[0], tick_us=row[1], rows=row[2], layout=row[3], history=row[4])
