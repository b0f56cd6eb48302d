"""Times that stand in a parent row: `Table(name="results", time="races.date")` reads the date of each result's race.

A path becomes a column of the child, called `races_date`, when its rows are read; from there on it is a column like
any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.core.errors import DeclarationError
from headrace.schema.expressions import TimeExpression

if TYPE_CHECKING:
    from headrace.schema.entity_set import Relationship
    from headrace.schema.table import Table


@dataclass(frozen=True, kw_only=True)
class JoinedColumn:
    """A column that is read from the parent row.

    Attributes:
        column: its name in the child.
        path: as it was declared: `races.date`, or with the foreign key `race_id.races.date`.
        foreign_key: the child's column that names the parent.
        parent: the parent table.
        parent_column: the column there.
    """

    column: str
    path: str
    foreign_key: str
    parent: str
    parent_column: str


def resolve_paths(tables: Sequence[Table], relationships: Sequence[Relationship]) -> tuple[Table, ...]:
    """Return the tables with the paths of their times replaced by columns that are joined to their rows.

    Raises:
        DeclarationError: a path names no parent, or one of several relationships to it without saying which.
    """
    by_name = {table.name: table for table in tables}
    return tuple(_resolved(table, by_name, relationships) for table in tables)


def _resolved(table: Table, tables: Mapping[str, Table], relationships: Sequence[Relationship]) -> Table:
    texts = [text for text in (table.time, table.known, *table.known_at.values()) if text is not None]
    paths = dict.fromkeys(column for text in texts if "." in (column := TimeExpression.parse(text).column))
    if not paths:
        return table
    joined = {path: _joined(table, path, relationships) for path in paths}
    parent = tables.get(joined[table.time].parent) if table.time in joined else None
    inherits = parent is not None and table.resolution is None and table.tz is None
    return replace(
        table,
        time=_local(table.time, joined),
        known=_local(table.known, joined),
        known_at={column: str(_local(text, joined)) for column, text in table.known_at.items()},
        resolution=parent.resolution if inherits and parent is not None else table.resolution,
        tz=parent.tz if inherits and parent is not None else table.tz,
        joined=(*table.joined, *joined.values()),
    )


def _joined(table: Table, path: str, relationships: Sequence[Relationship]) -> JoinedColumn:
    *foreign_key, parent, column = path.split(".")
    found = [
        item
        for item in relationships
        if (item.child_table, item.parent_table) == (table.name, parent)
        and (not foreign_key or item.child_column == foreign_key[0])
    ]
    if len(found) != 1:
        known = [f"{r.child_column}.{r.parent_table}" for r in relationships if r.child_table == table.name]
        raise DeclarationError(
            f"{path!r} names {'several parents' if found else 'no parent'} of the table",
            where=table.name,
            found=known,
            fix=f'name one with its foreign key, as in time="{known[0] if known else "race_id.races"}.{column}"',
        )
    return JoinedColumn(
        column="_".join((*foreign_key, parent, column)),
        path=path,
        foreign_key=found[0].child_column,
        parent=parent,
        parent_column=column,
    )


def _local(text: str | None, joined: Mapping[str, JoinedColumn]) -> str | None:
    """A time expression with the joined column in place of its path."""
    if text is None:
        return None
    expression = TimeExpression.parse(text)
    known = joined.get(expression.column)
    return text if known is None else str(replace(expression, column=known.column))
