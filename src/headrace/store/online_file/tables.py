"""Queries and SQL of the online store: columns, statements, watermarks, and a checksum of every row.

A table has the key columns, a column per feature, the event time of a single row, and the checksum. Feature columns
have no declared type: SQLite would turn -0.0 in a REAL column into 0. Names are quoted with backticks, because SQLite
reads a name in double quotes that does not exist as a string.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headrace.store.online_file.packed import DamagedRowError, PackedLayout

CREATE_WATERMARKS = (
    "CREATE TABLE IF NOT EXISTS headrace_watermarks "
    "(view TEXT PRIMARY KEY, tick_us INTEGER, rows INTEGER, layout TEXT, history TEXT)"
)

SELECT_WATERMARKS = "SELECT view, tick_us, rows, layout, history FROM headrace_watermarks"


@dataclass(frozen=True, kw_only=True)
class Watermark:
    """The last refresh of a view.

    Attributes:
        view: Name of the view.
        tick_us: Tick of its values, microseconds UTC.
        rows: Number of rows.
        layout: Digest of its definitions.
        history: Fingerprint of the lake snapshot that it was computed from.
    """

    view: str
    tick_us: int
    rows: int
    layout: str
    history: str


@dataclass(frozen=True, kw_only=True)
class RowQuery:
    """Rows to read from one view.

    Attributes:
        view: Name of the view.
        join_keys: Names of the key columns.
        columns: Names of the columns to read.
        keys: Key values of each row [n], in the order of `join_keys`.
    """

    view: str
    join_keys: tuple[str, ...]
    columns: tuple[str, ...]
    keys: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """The result of a RowQuery.

    Attributes:
        watermark: Of the view; None where it was never written or lacks a column. Then every row is None.
        rows: Values of the columns for each key [n]; None for an unknown key.
    """

    watermark: Watermark | None
    rows: list[tuple[Any, ...] | None]


def watermark_of(row: tuple[Any, ...]) -> Watermark:
    return Watermark(view=row[0], tick_us=row[1], rows=row[2], layout=row[3], history=row[4])


#: A checksum of all other columns of a row, null in rows of before: a value that changed on disk is never served.
CHECKSUM = "row sum"


#: SQL's name for `_sum_of`.
CHECKSUM_FUNCTION = "headrace_sum"


_MAX_ARGUMENTS = 100

#: No CRC-32 is negative.
_NEVER_MATCHES = -1


#: A row's own event time. It can be read like a feature's column.
EVENT = "row event_us"


#: The values of a row of a packed table (`packed`), which has no columns of features.
PACKED = "row packed"

#: Largest view whose checksums are all compared; for more rows that would take too long.
MAX_VERIFIED_ROWS = 200_000

CREATE_LAYOUTS = "CREATE TABLE IF NOT EXISTS headrace_layouts (view TEXT PRIMARY KEY, columns TEXT)"


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def key_column(name: str) -> str:
    return quoted(f"key {name}")


def insert_statement(view: str, join_keys: Sequence[str], columns: Sequence[str]) -> str:
    names = ",".join([*map(key_column, join_keys), *map(quoted, columns)])
    marks = ",".join("?" * (len(join_keys) + len(columns)))
    return f"INSERT INTO {quoted(view)} ({names}) VALUES ({marks})"


def table_columns(connection: sqlite3.Connection, view: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({quoted(view)})")]


def row_checksum(*values: Any) -> int:
    """The checksum of a row's values, as SQLite holds them."""
    return zlib.crc32(repr(values).encode())


def checksum_expression(connection: sqlite3.Connection, view: str) -> str:
    """The checksum of a view's row as an SQL expression. A function of SQL takes 127 values at most, so that of many
    columns is made of parts."""
    columns = [quoted(name) for name in table_columns(connection, view) if name != CHECKSUM]
    expression = ""
    for at in range(0, len(columns), _MAX_ARGUMENTS):
        expression = (
            f"{CHECKSUM_FUNCTION}({','.join([expression, *columns[at : at + _MAX_ARGUMENTS]][not expression :])})"
        )
    return expression


def checksum_to_fill(connection: sqlite3.Connection, view: str) -> str:
    """An SQL expression for the checksum of a row that is about to change: null, for `fill_checksums`, where the
    present one matches; else one that never matches, as the row stays damaged."""
    own = quoted(CHECKSUM)
    matches = f"{own} IS NULL OR {own} = {checksum_expression(connection, view)}"
    return f"CASE WHEN {matches} THEN NULL ELSE {_NEVER_MATCHES} END"


def fill_checksums(connection: sqlite3.Connection, view: str) -> None:
    """Write the checksums of rows that have none."""
    table, own = quoted(view), quoted(CHECKSUM)
    connection.execute(f"UPDATE {table} SET {own} = {checksum_expression(connection, view)} WHERE {own} IS NULL")


def all_checksums_match(connection: sqlite3.Connection, view: str) -> bool:
    """Whether the checksums of all rows of a view match; True for a table of an earlier version without them."""
    if CHECKSUM not in table_columns(connection, view):
        return True
    differ = f"{quoted(CHECKSUM)} <> {checksum_expression(connection, view)}"
    return connection.execute(f"SELECT 1 FROM {quoted(view)} WHERE {differ} LIMIT 1").fetchone() is None


def create_table(connection: sqlite3.Connection, view: str, join_keys: Sequence[str], columns: Sequence[str]) -> None:
    keys = ",".join(f"{key_column(name)} NOT NULL" for name in join_keys)
    features = "".join(f",{quoted(name)}" for name in columns)
    primary = ",".join(map(key_column, join_keys))
    event = f",{quoted(EVENT)}"
    table = f"{keys}{features}{event},{quoted(CHECKSUM)}, PRIMARY KEY ({primary})"
    connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(view)} ({table})")
    present = table_columns(connection, view)
    for name in (EVENT, CHECKSUM):
        if name not in present:  # a table of an earlier version
            connection.execute(f"ALTER TABLE {quoted(view)} ADD COLUMN {quoted(name)}")


def create_packed_table(
    connection: sqlite3.Connection, view: str, join_keys: Sequence[str], layout: PackedLayout
) -> None:
    """Create the table of a view of packed rows where it does not exist, and record its layout."""
    keys = ",".join(f"{key_column(name)} NOT NULL" for name in join_keys)
    primary = ",".join(map(key_column, join_keys))
    columns = f"{keys},{quoted(PACKED)} BLOB NOT NULL,{quoted(EVENT)}, PRIMARY KEY ({primary})"
    connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(view)} ({columns}) WITHOUT ROWID")
    connection.execute("INSERT OR REPLACE INTO headrace_layouts VALUES (?,?)", (view, layout.to_record()))


def packed_layout(connection: sqlite3.Connection, view: str) -> PackedLayout | None:
    """Return the layout of a view of packed rows; None for a view with columns, or none at all.

    Raises:
        DamagedRowError: The record of the layout is damaged or lost.
    """
    if PACKED not in table_columns(connection, view):
        return None
    # As bytes: SQLite's module for Python fails at a text that is no UTF-8 any more.
    select = "SELECT CAST(columns AS BLOB) FROM headrace_layouts WHERE view = ?"
    row = connection.execute(select, (view,)).fetchone()
    if row is None:
        raise DamagedRowError
    return PackedLayout.from_record(row[0])


def seal_schema(connection: sqlite3.Connection) -> None:
    """Record the checksum of the file's schema in its header, where `schema_matches` looks for it."""
    checksum = _schema_checksum(connection)
    if connection.execute("PRAGMA user_version").fetchone() != (checksum,):
        connection.execute(f"PRAGMA user_version = {checksum}")


def schema_matches(connection: sqlite3.Connection) -> bool:
    """Whether the definitions of all tables are as recorded; True for an older file without a record."""
    (recorded,) = connection.execute("PRAGMA user_version").fetchone()
    return recorded in (0, _schema_checksum(connection))


def _schema_checksum(connection: sqlite3.Connection) -> int:
    """The checksum of all definitions; never 0, which SQLite returns where none was recorded."""
    # As bytes: SQLite's module for Python fails at a text that is no UTF-8 any more.
    columns = ",".join(f"CAST({name} AS BLOB)" for name in ("type", "name", "tbl_name", "sql"))
    others = "name NOT LIKE 'sqlite@_%' ESCAPE '@'"  # statistics, which an ANALYZE of a visitor leaves
    rows = connection.execute(f"SELECT {columns} FROM sqlite_master WHERE {others}").fetchall()
    return zlib.crc32(repr(sorted(map(repr, rows))).encode()) & 0x7FFFFFFF or 1  # user_version has a sign


def upsert_packed(view: str, join_keys: Sequence[str]) -> str:
    """Return the statement that writes one packed row (keys, packed, event) where it differs from the present one."""
    names = ",".join([*map(key_column, join_keys), quoted(PACKED), quoted(EVENT)])
    marks = ",".join("?" * (len(join_keys) + 2))
    keys = ",".join(map(key_column, join_keys))
    packed, event = quoted(PACKED), quoted(EVENT)
    return (
        f"INSERT INTO {quoted(view)} ({names}) VALUES ({marks}) ON CONFLICT ({keys}) DO UPDATE SET "
        f"{packed}=excluded.{packed}, {event}=excluded.{event} "
        f"WHERE {packed} IS NOT excluded.{packed} OR {event} IS NOT excluded.{event}"
    )


def error_text(error: Exception) -> str:
    """Return an error's message without a path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


@contextmanager
def read_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run all reads of the block on one snapshot of the file."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")
