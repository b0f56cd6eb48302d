"""Statements for databases that are read without SQLAlchemy's connections, built as its trees and quoted by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any


def select_rows(
    table: str,
    dialect: str,
    *,
    order: Sequence[str] = (),
    column: str | None = None,
    bound: int | float | datetime | date | None = None,
    none: bool = False,
) -> str:
    """Return the statement that selects all columns of a table.

    Args:
        table: its name, with its schema where it has one.
        dialect: "postgresql" (which DuckDB understands) or "sqlite".
        order: columns to sort by.
        column: only rows in which this column is at or after `bound`.
        bound: of a type that the column can be compared with.
        none: no rows, for the types of the columns.
    """
    from sqlalchemy import column as named
    from sqlalchemy import false, literal_column, select

    statement: Any = select(literal_column("*")).select_from(_table(table))
    if none:
        statement = statement.where(false())
    if column is not None and bound is not None:
        statement = statement.where(named(column) >= _literal(bound))
    return _text(statement.order_by(*(named(name) for name in order)), dialect)


def count_and_end(table: str, cursor: str, dialect: str) -> str:
    """Return the statement for the number of rows and the largest value of a column."""
    from sqlalchemy import column, func, select

    return _text(select(func.count(), func.max(column(cursor))).select_from(_table(table)), dialect)


def _table(name: str) -> Any:
    from sqlalchemy import table

    schema, _, own = name.rpartition(".")
    return table(own, schema=schema or None)


def _literal(bound: int | float | datetime | date) -> Any:
    from sqlalchemy import TIMESTAMP, Date, cast, literal

    if isinstance(bound, datetime):
        return cast(literal(bound.isoformat(sep=" ")), TIMESTAMP(timezone=bound.tzinfo is not None))
    return cast(literal(bound.isoformat()), Date()) if isinstance(bound, date) else literal(bound)


def _text(statement: Any, dialect: str) -> str:
    from sqlalchemy.dialects import postgresql, sqlite

    known: dict[str, Any] = {"postgresql": postgresql.dialect, "sqlite": sqlite.dialect}
    return str(statement.compile(dialect=known[dialect](), compile_kwargs={"literal_binds": True}))
