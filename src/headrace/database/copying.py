"""Copy the rows of a group of tables from one database to another, for backups and for a move to PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from headrace.core.errors import ConflictError
from headrace.database.table_group import TableGroup

#: Rows that are in memory at once.
ROWS_AT_ONCE = 1_000


def copy_rows(source: Connection, target: Connection, group: TableGroup, *, where: str) -> int:
    """Copy all rows to empty tables, inside the callers' transactions; returns how many.

    Args:
        source: Reads the tables, as of one instant.
        target: Writes them.
        group: The tables.
        where: The target, for the error.

    Raises:
        ConflictError: The target has rows.
    """
    copied = 0
    for table in group.metadata.sorted_tables:
        if target.execute(select(func.count()).select_from(table)).scalar_one():
            raise ConflictError(
                f"its table {table.name} has rows already",
                where=where,
                fix="name an empty database: rows of two installations are never mixed",
            )
    for table in group.metadata.sorted_tables:
        for part in source.execute(select(table)).mappings().partitions(ROWS_AT_ONCE):
            target.execute(table.insert(), [dict(row) for row in part])
            copied += len(part)
    return copied
