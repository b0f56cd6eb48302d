"""Join the times that stand in a parent row to the rows of a table (`Table(name="results", time="races.date")`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.schema import EntitySet, Table
from headrace.schema.paths import JoinedColumn


class Parents(Protocol):
    """What gives the rows of parent tables: their sources, or the lake."""

    @property
    def entity_set(self) -> EntitySet:
        """The tables."""

    def rows(self, table: Table) -> pa.Table:
        """All rows of a table, one per key."""


@dataclass(frozen=True, kw_only=True)
class ParentColumns:
    """Columns of parent rows that a table's rows are joined with.

    Attributes:
        table: the table.
        lookups: joined column -> (keys of the parent rows, their values).
    """

    table: Table
    lookups: Mapping[str, tuple[pa.ChunkedArray, pa.ChunkedArray]]

    @classmethod
    def read(cls, table: Table, parents: Parents) -> ParentColumns:
        """Read the columns of a table's parents; nothing where no time of the table stands in a parent.

        Raises:
            DataError: a parent has no such column, or cannot be read.
        """
        rows = {name: parents.rows(parents.entity_set.table(name)) for name in {one.parent for one in table.joined}}
        lookups = {}
        for one in table.joined:
            key = parents.entity_set.table(one.parent).keys[0]
            for name in (key, one.parent_column):
                if name not in rows[one.parent].column_names:
                    raise DataError(
                        f"no column {name!r} in {one.parent}",
                        where=f"{table.name}, time {one.path!r}",
                        found=rows[one.parent].column_names,
                        fix="correct the path",
                    )
            lookups[one.column] = (rows[one.parent].column(key), rows[one.parent].column(one.parent_column))
        return cls(table=table, lookups=lookups)

    def add(self, rows: pa.Table) -> pa.Table:
        """Return the rows with the joined columns; null where the parent row is missing.

        Raises:
            DataError: the foreign key is missing or has another type than the parent's key, or a joined column's name
                is taken.
        """
        for one in self.table.joined:
            where = f"{self.table.name}, time {one.path!r}"
            if one.foreign_key not in rows.column_names:
                fix = "add it to the source, or correct the relationship"
                raise DataError(f"no column {one.foreign_key!r}", where=where, found=rows.column_names, fix=fix)
            if one.column in rows.column_names:
                fix = f"declare time={one.column!r}, or rename the column"
                raise DataError(f"the source has a column {one.column!r} of its own", where=where, fix=fix)
            keys, values = self.lookups[one.column]
            found = pc.index_in(*_comparable(one, rows.column(one.foreign_key), keys, where))
            rows = rows.append_column(one.column, values.take(found))
        return rows


def _comparable(
    one: JoinedColumn, child: pa.ChunkedArray, parent: pa.ChunkedArray, where: str
) -> tuple[pa.ChunkedArray, pa.Array]:
    """Both keys in one type; numbers that pandas made floats, for their nulls, as the whole numbers that they were."""
    kinds = {_kind(child.type), _kind(parent.type)}
    if len(kinds) > 1 and None not in kinds:
        raise DataError(
            f"{one.foreign_key} is {child.type}, and the key of {one.parent} is {parent.type}",
            where=where,
            fix="write both with one type",
        )
    kind = pa.string() if "text" in kinds else pa.int64() if "number" in kinds else parent.type
    try:
        cast = [
            pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column).cast(kind)
            if pa.types.is_floating(column.type)
            else column.cast(kind)
            for column in (child, parent)
        ]
    except pa.ArrowInvalid:
        cast = [child.cast(pa.float64()), parent.cast(pa.float64())]
    return cast[0], cast[1].combine_chunks()


def _kind(kind: pa.DataType) -> str | None:
    """Types that are compared with each other; None for a column without a value."""
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_null(kind):
        return None
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)
