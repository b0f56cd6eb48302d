"""A table of changes in a database, as Debezium or a trigger writes it: one row a change, in the order of a sequence.

    orders_changes: seq | op | changed_at | order_id | amount | ...
                     17 | u  | ...        | 601      | 42.5   | ...

The database itself finds the last change of each key, so only these rows are transferred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError, DeclarationError
from headrace.problems.sources.feeds.feed import ARRIVAL, ChangeFeed, ChangeRange, lost_changes, refuse_deletes
from headrace.problems.sources.feeds.writers import wait_for_writers
from headrace.problems.sources.interface import BATCH_ROWS
from headrace.problems.sources.sql_columns import arrow_schema, record_batch
from headrace.schema import Table

if TYPE_CHECKING:
    from headrace.problems.sources.sql import SqlSource

#: The position before the first change.
_START = "-1"
_INSERTS, _DELETES = ("c", "r", "i", "insert"), ("d", "delete")
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True, kw_only=True)
class ChangeTable(ChangeFeed):
    """Where the changes of a database table are, and what their columns mean.

    Rows of the lake have the columns of the change table without those named here, and without names that begin with
    `_`, such as Debezium's `__op` and `__ts_ms`.

    Args:
        sequence: Column of whole numbers that grow from change to change and never begin anew. In PostgreSQL,
            transactions that write the change table are waited for, so their numbers need not be in the order of their
            commits. Of a view, and in other databases with several writers, they must be.
        operation: Column that says what happened: `c`, `r`, `i` or `insert` for a new row, `d` or `delete` for a
            deleted one, in any case of letters; all else is a new version of a row.
            Changes may be removed from it after they were read.
        table: The change table, with its schema where it has one; the source's own table is then read at the first
            load. None: the source's table is the change table, and holds all rows since the beginning.
        committed: Column with the time of the change, for `arrival="commit"`; naive times are UTC.
        unit: Of `committed`, where it holds whole numbers since 1970.
        dropped: Further columns of the change table that the rows do not have.
    """

    sequence: str
    operation: str
    table: str | None = None
    committed: str | None = None
    unit: Literal["s", "ms", "us"] = "ms"
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.arrival == "commit") != (self.committed is not None):
            raise DeclarationError(
                f"arrival={self.arrival!r} and committed={self.committed!r}",
                where="changes",
                fix='declare both arrival="commit" and committed="column", or neither',
            )


@dataclass(frozen=True, kw_only=True)
class SqlChanges:
    """The changes of a table through SQLAlchemy. Positions are sequence numbers."""

    source: SqlSource
    table: Table
    options: ChangeTable

    @property
    def _name(self) -> str:
        return self.options.table or self.source.table

    @property
    def _place(self) -> str:
        return self.source.place.rpartition("#")[0] + f"#{self._name}"

    def position(self, known: str | None = None) -> str | None:
        """Return the largest sequence number; None where the change table is to hold all rows, and holds none.

        A number below `known` is returned too: `batches` takes a range that ends before its start for a gap. Where all
        changes were removed after they were read, nothing has changed since.
        """
        with self.source.opened() as connection:
            changes = self._reflected(connection)
            largest = newest_sequence(connection, changes, self.options.sequence, self._place)
            wait_for_writers(connection, changes, self._place)
        if largest is not None:
            return str(max(largest, int(_START)))
        if known is None and self.options.table is not None:
            return _START
        return known

    def batches(self, span: ChangeRange) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a range in the order of their sequence.

        Raises:
            DataError: Rows were deleted, two changes of a key have one sequence number, or the numbering began anew.
        """
        if span.after is not None and int(span.until) < int(span.after):
            if self.options.on_gap == "refuse":
                why = f"their numbers end at {span.until}, so the numbering of {self.options.sequence} began anew"
                raise lost_changes(self.table, self._place, span, why)
            span = replace(span, after=None)
        if span.after is None and self.options.table is not None:
            yield from self.source.rows_now()
            return
        with self.source.opened() as connection:
            changes = self._reflected(connection)
            self._require_order(connection, changes, span)
            if span.after is not None and self.options.on_delete == "refuse":
                self._require_kept(connection, changes, span)
            yield from self._rows(connection, changes, span)

    def _rows(self, connection: Any, changes: Any, span: ChangeRange) -> Iterator[pa.RecordBatch]:
        from sqlalchemy import func, select

        at_commit = self.options.arrival == "commit" and span.after is not None
        names = [column.name for column in changes.columns if not self._is_dropped(column.name)]
        if at_commit:
            names.append(str(self.options.committed))
        by = [changes.c[name] for name in (*self.table.keys, *([self.options.committed] if at_commit else []))]
        newest = changes.c[self.options.sequence].desc()
        ranked = (
            select(changes, func.row_number().over(partition_by=by, order_by=newest).label("_newest"))
            .where(*self._within(changes, span))
            .subquery()
        )
        statement = (
            select(*(ranked.c[name] for name in names))
            .where(ranked.c._newest == 1, _kind(ranked.c[self.options.operation]).not_in(_DELETES))
            .order_by(ranked.c[self.options.sequence])
        )
        kinds = arrow_schema(changes, connection)
        schema = pa.schema([kinds.field(name) for name in names])
        result = connection.execution_options(stream_results=True).execute(statement)
        for rows in result.partitions(BATCH_ROWS):
            batch = record_batch(rows, schema, self._place)
            yield self._with_arrival(batch) if at_commit else batch

    def _require_order(self, connection: Any, changes: Any, span: ChangeRange) -> None:
        from sqlalchemy import func, select

        columns = [changes.c[name] for name in (*self.table.keys, self.options.sequence)]
        twice = (
            select(*columns).where(*self._within(changes, span)).group_by(*columns).having(func.count() > 1).limit(1)
        )
        found = connection.execute(twice).first()
        if found is not None:
            raise DataError(
                "two changes of one key have the same sequence number", where=self._place,
                found=[", ".join(map(str, found))], fix="name a column that tells their order",
            )  # fmt: skip

    def _require_kept(self, connection: Any, changes: Any, span: ChangeRange) -> None:
        """Raise DataError where keys end as deleted that did not begin as new rows in the range."""
        from sqlalchemy import func, select

        keys, sequence = [changes.c[name] for name in self.table.keys], changes.c[self.options.sequence]
        ends = (
            select(*keys, func.min(sequence).label("_first"), func.max(sequence).label("_last"))
            .where(*self._within(changes, span))
            .group_by(*keys)
            .subquery()
        )
        first, last = changes.alias("first_change"), changes.alias("last_change")
        operation = self.options.operation
        statement = select(*(ends.c[name] for name in self.table.keys)).order_by(ends.c._last)
        for other, end in ((first, ends.c._first), (last, ends.c._last)):
            same = [other.c[name] == ends.c[name] for name in self.table.keys]
            statement = statement.join(other, (other.c[self.options.sequence] == end) & _all(same))
        statement = statement.where(_kind(last.c[operation]).in_(_DELETES), _kind(first.c[operation]).not_in(_INSERTS))
        deleted = connection.execute(statement).all()
        if deleted:
            found = [", ".join(map(str, row)) for row in deleted[:5]]
            raise refuse_deletes(self.table, self._place, len(deleted), found)

    def _within(self, changes: Any, span: ChangeRange) -> list[Any]:
        sequence = changes.c[self.options.sequence]
        return [sequence > int(span.after if span.after is not None else _START), sequence <= int(span.until)]

    def _is_dropped(self, name: str) -> bool:
        known = (self.options.sequence, self.options.operation, self.options.committed, *self.options.dropped)
        return name in known or name.startswith("_")

    def _with_arrival(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The column of commit times as ARRIVAL, microseconds UTC."""
        *own, committed = batch.columns
        if pa.types.is_integer(committed.type):
            committed = pc.multiply(committed.cast(pa.int64()), _UNITS[self.options.unit]).cast(pa.timestamp("us"))
        elif pa.types.is_string(committed.type):
            import pandas as pd

            committed = pa.array(pd.to_datetime(committed.to_pandas(), utc=True, format="ISO8601"))
        times = committed.cast(pa.timestamp("us", committed.type.tz)).cast(pa.timestamp("us", "UTC"))
        return pa.RecordBatch.from_arrays([*own, times], names=[*batch.schema.names[:-1], ARRIVAL])

    def _reflected(self, connection: Any) -> Any:
        changes = self.source.reflected(connection, self._name)
        named = (*self.table.keys, self.options.sequence, self.options.operation, self.options.committed)
        missing = [name for name in named if name is not None and name not in changes.c]
        if missing:
            raise DataError(
                f"no column {', '.join(missing)}", where=self._place, found=changes.c.keys(),
                fix="correct changes= of the source",
            )  # fmt: skip
        return changes


def newest_sequence(connection: Any, changes: Any, column: str, where: str) -> int | None:
    """Return the largest sequence number of a change table; None where it is empty.

    Raises:
        DataError: It is no whole number, or there is no such column.
    """
    from sqlalchemy import func, select

    if column not in changes.c:
        raise DataError(
            f"no column {column!r}", where=where, found=changes.c.keys(), fix="correct changes= of the source"
        )
    largest = connection.execute(select(func.max(changes.c[column]))).scalar()
    if largest is not None and (isinstance(largest, bool) or not isinstance(largest, int)):
        raise DataError(
            f"the sequence is no whole number: {largest!r}", where=f"{where}, {column}",
            fix="name a column of whole numbers that grow from change to change",
        )  # fmt: skip
    return largest


def _kind(operation: Any) -> Any:
    """The operation in small letters; a missing one is a new version."""
    from sqlalchemy import func

    return func.lower(func.coalesce(operation, ""))


def _all(conditions: list[Any]) -> Any:
    from sqlalchemy import and_

    return and_(*conditions)
