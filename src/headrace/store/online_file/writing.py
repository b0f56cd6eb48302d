"""Write packed rows: a refresh that writes changed rows only, updates of single rows, and the way back to columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from headrace.core.errors import DataError
from headrace.store.online_file.packed import DamagedRowError, PackedLayout
from headrace.store.online_file.tables import (
    EVENT,
    PACKED,
    Watermark,
    create_packed_table,
    create_table,
    fill_checksums,
    insert_statement,
    key_column,
    packed_layout,
    quoted,
    upsert_packed,
)

#: Keys of the rows of this refresh, where the table has rows of an earlier one.
_SEEN = "temp.headrace_seen"


class PackedWriter:
    """Writes one refresh of a view inside an open transaction.

    A table of the same layout is updated: SQLite compares each packed row with the present one and writes it only where
    it differs. Otherwise the table is made anew.

    Args:
        connection: In a transaction.
        watermark: Of the refresh; its `rows` is ignored.
        join_keys: Names of the key columns.
        columns: Names of the feature columns.

    Attributes:
        changed: Number of rows that were written because they are new or different.
    """

    def __init__(
        self, connection: sqlite3.Connection, watermark: Watermark, join_keys: Sequence[str], columns: Sequence[str]
    ) -> None:
        self.changed = 0
        self._connection = connection
        self._watermark = watermark
        self._join_keys = list(join_keys)
        self._columns = list(columns)
        self._layout: PackedLayout | None = None
        self._is_new = False
        self._rows = 0

    def write(self, batch: pa.Table) -> None:
        """Write the rows of a table with key and feature columns."""
        layout = PackedLayout.of(batch.schema, self._columns)
        if layout != self._layout:
            if self._layout is not None:
                raise DataError("the types of columns changed within one refresh", where=self._watermark.view)
            self._prepare(layout)
        keys = list(zip(*(batch[name].to_pylist() for name in self._join_keys), strict=True))
        before = self._connection.total_changes
        rows = ((*key, packed, None) for key, packed in zip(keys, layout.encode(batch, keys), strict=True))
        self._connection.executemany(upsert_packed(self._watermark.view, self._join_keys), rows)
        self.changed += self._connection.total_changes - before
        self._rows += batch.num_rows
        if not self._is_new:
            marks = ",".join("?" * len(self._join_keys))
            self._connection.executemany(f"INSERT OR IGNORE INTO {_SEEN} VALUES ({marks})", keys)

    def finish(self) -> int:
        """Remove rows of keys that the refresh does not have, and write the watermark; return the number of rows."""
        view, mark = self._watermark.view, self._watermark
        if self._layout is None:
            self._prepare(PackedLayout(tuple(self._columns), tuple("d" for _ in self._columns)))
        self._remove_others()
        self._connection.execute(
            "INSERT OR REPLACE INTO headrace_watermarks VALUES (?,?,?,?,?)",
            (view, mark.tick_us, self._rows, mark.layout, mark.history),
        )
        return self._rows

    def _prepare(self, layout: PackedLayout) -> None:
        view = self._watermark.view
        try:
            self._is_new = packed_layout(self._connection, view) != layout
        except DamagedRowError:  # the refresh has all rows: the table is made anew
            self._is_new = True
        if self._is_new:
            self._connection.execute(f"DROP TABLE IF EXISTS {quoted(view)}")
        create_packed_table(self._connection, view, self._join_keys, layout)
        keys = ",".join(map(key_column, self._join_keys))
        self._connection.execute(f"CREATE TEMP TABLE {_SEEN} ({keys}, PRIMARY KEY ({keys})) WITHOUT ROWID")
        self._layout = layout

    def _remove_others(self) -> None:
        """Delete the rows of keys that the refresh does not have."""
        view = quoted(self._watermark.view)
        (present,) = self._connection.execute(f"SELECT count(*) FROM {view}").fetchone()
        if present != self._rows:
            keys = ",".join(map(key_column, self._join_keys))
            self._connection.execute(f"DELETE FROM {view} WHERE ({keys}) NOT IN (SELECT {keys} FROM {_SEEN})")


def update_packed(
    connection: sqlite3.Connection,
    view: str,
    join_keys: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Insert or update single packed rows; columns that are not named keep their values, or are missing.

    Args:
        connection: In a transaction.
        view: Name of the view.
        join_keys: Names of the key columns.
        columns: Names of the columns to write, EVENT among them to set event times.
        rows: Values of join keys and columns.

    Raises:
        DataError: The view lacks a column.
    """
    layout = packed_layout(connection, view)
    assert layout is not None
    if unknown := [name for name in columns if name != EVENT and name not in layout.names]:
        raise DataError(f"no column {unknown[0]!r} before the next refresh", where=view, found=layout.names)
    decode, place = layout.decoder(layout.names), {name: at for at, name in enumerate(layout.names)}
    where = " AND ".join(f"{key_column(name)}=?" for name in join_keys)
    select = f"SELECT {quoted(PACKED)},{quoted(EVENT)} FROM {quoted(view)} WHERE {where}"
    for row in rows:
        key, given = tuple(row[: len(join_keys)]), dict(zip(columns, row[len(join_keys) :], strict=True))
        present = connection.execute(select, key).fetchone()
        values = list(decode(present[0], key, present[1])) if present else [None] * len(layout.names)
        event = given.pop(EVENT, present[1] if present else None)
        for name, value in given.items():
            values[place[name]] = value
        packed = layout.encode_row(values, key, event)
        connection.execute(upsert_packed(view, join_keys), (*key, packed, event))


def unpack_table(connection: sqlite3.Connection, view: str, join_keys: Sequence[str]) -> None:
    """Turn a view of packed rows into one with a column per feature, so that columns can be added to it."""
    layout = packed_layout(connection, view)
    assert layout is not None
    decode, keys = layout.decoder(layout.names), ",".join(map(key_column, join_keys))
    select = f"SELECT {quoted(PACKED)},{quoted(EVENT)},{keys} FROM {quoted(view)}"
    rows = [(*key, *decode(packed, tuple(key), event), event) for packed, event, *key in connection.execute(select)]
    connection.execute(f"DROP TABLE {quoted(view)}")
    connection.execute("DELETE FROM headrace_layouts WHERE view = ?", (view,))
    create_table(connection, view, join_keys, layout.names)
    connection.executemany(insert_statement(view, join_keys, (*layout.names, EVENT)), rows)
    fill_checksums(connection, view)
