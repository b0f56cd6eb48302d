"""Read rows of the online file: packed rows, and the rows with a column per feature of other views.

What a query needs to know about a table (whether it is packed, how its rows are decoded, how their checksum is
computed) is cached for a connection until SQLite's schema version changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from headrace.store.online_file.packed import DamagedRowError, PackedLayout
from headrace.store.online_file.tables import (
    CHECKSUM,
    EVENT,
    PACKED,
    SELECT_WATERMARKS,
    RowQuery,
    RowResult,
    checksum_expression,
    key_column,
    packed_layout,
    quoted,
    table_columns,
    watermark_of,
)

#: Reads the values of a key; None where there is no such row.
ReadKey = Callable[[tuple[Any, ...]], tuple[Any, ...] | None]


class RowReader:
    """Reads rows through one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._prepared: dict[tuple[int, str, tuple[str, ...]], ReadKey] = {}

    def read(self, query: RowQuery) -> RowResult:
        """Read the rows of one view.

        Raises:
            DamagedRowError: A row or the view's layout does not match its checksum.
        """
        try:
            mark = self.connection.execute(f"{SELECT_WATERMARKS} WHERE view = ?", (query.view,)).fetchone()
            read_key = self._read_key(query)
            found: dict[tuple[Any, ...], tuple[Any, ...] | None] = {}
            for key in query.keys:
                if key not in found:
                    found[key] = None if None in key else read_key(key)
        except (sqlite3.OperationalError, KeyError) as error:
            if isinstance(error, sqlite3.OperationalError) and "no such" not in str(error):
                raise
            return RowResult(watermark=None, rows=[None] * len(query.keys))
        rows = [found[key] for key in query.keys]
        return RowResult(watermark=None if mark is None else watermark_of(mark), rows=rows)

    def _read_key(self, query: RowQuery) -> ReadKey:
        (version,) = self.connection.execute("PRAGMA schema_version").fetchone()
        known = (version, query.view, query.columns)
        if known not in self._prepared:
            layout = packed_layout(self.connection, query.view)
            self._prepared[known] = self._from_columns(query) if layout is None else self._from_packed(query, layout)
        return self._prepared[known]

    def _from_packed(self, query: RowQuery, layout: PackedLayout) -> ReadKey:
        statement = f"SELECT {quoted(PACKED)},{quoted(EVENT)} FROM {quoted(query.view)} WHERE {_where(query)}"
        with_event = EVENT in query.columns
        names = [name for name in query.columns if name != EVENT]
        decode, execute = layout.decoder(names), self.connection.execute
        place = query.columns.index(EVENT) if with_event else 0

        def read_key(key: tuple[Any, ...]) -> tuple[Any, ...] | None:
            row = execute(statement, key).fetchone()
            if row is None:
                return None
            values = decode(row[0], key, row[1])
            if with_event:
                values = (*values[:place], row[1], *values[place:])
            return values or (1,)

        return read_key

    def _from_columns(self, query: RowQuery) -> ReadKey:
        has_sums = CHECKSUM in table_columns(self.connection, query.view)
        condition = f"{quoted(CHECKSUM)} = {checksum_expression(self.connection, query.view)}" if has_sums else "NULL"
        columns = ",".join((*map(quoted, query.columns), condition))
        statement = f"SELECT {columns} FROM {quoted(query.view)} WHERE {_where(query)}"

        def read_key(key: tuple[Any, ...]) -> tuple[Any, ...] | None:
            row = self.connection.execute(statement, key).fetchone()
            if row is None:
                return None
            if row[-1] == 0:
                raise DamagedRowError
            return row[:-1] or (1,)

        return read_key


def _where(query: RowQuery) -> str:
    return " AND ".join(f"{key_column(name)}=?" for name in query.join_keys)


def packed_rows_match(connection: sqlite3.Connection, view: str, layout: PackedLayout) -> bool:
    """Whether all packed rows of a view match their checksums."""
    keys = [name for name in table_columns(connection, view) if name not in (PACKED, EVENT)]
    columns = ",".join(map(quoted, (PACKED, EVENT, *keys)))
    decode = layout.decoder(())
    try:
        for packed, event, *key in connection.execute(f"SELECT {columns} FROM {quoted(view)}"):
            decode(packed, tuple(key), event)
    except DamagedRowError:
        return False
    return True
