"""Insert rows whose key may exist already, in SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, *rows: Mapping[str, Any]) -> int:
    """Insert the rows whose key is not in the table; returns how many those were."""
    statement = _insert(connection, table).values(list(rows)).on_conflict_do_nothing()
    return int(connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount)


def insert_or_update(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or set the given columns of the row with its key."""
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in row.items() if name not in keys}
    statement = _insert(connection, table).values(dict(row))
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
