"""An immutable snapshot of the lake at an instant: all versions of all rows, in version order.

Versions are ordered by arrival of the row, then by the batch's order of first arrival, then by key. A row that equals
the previous version of its key is dropped, so re-sent rows and reordered batches give the same table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL
from headrace.core.errors import DataError, NotFoundError
from headrace.core.fingerprint import fingerprint
from headrace.lake.assembled import extended, leave_assembled, read_assembled
from headrace.lake.batch import Batch, load
from headrace.lake.conform import ARRIVAL
from headrace.lake.versions import drop_repeats

ORDER = "_order"


class Snapshot:
    """A fixed set of batches, read at first use and cached in memory."""

    def __init__(self, *, problem: str, batches: Mapping[str, tuple[Batch, ...]], as_of_us: int | None) -> None:
        self.problem = problem
        self.as_of_us = as_of_us
        self._batches = dict(batches)
        self._tables: dict[str, pa.Table] = {}
        self._earlier: Snapshot | None = None

    def reuse(self, earlier: Snapshot) -> None:
        """Use the tables of an earlier snapshot of the same lake where this one only has later batches."""
        self._earlier = earlier
        earlier._earlier = None  # a chain would hold every snapshot

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the rows and their arrivals over all tables; equal for equal batches on any machine."""
        return fingerprint({name: self.table_fingerprint(name) for name in sorted(self._batches)})

    def table_fingerprint(self, name: str) -> str:
        """Return the fingerprint of one table: of its batches in version order, not in the order of appending."""
        batches = sorted(self._batches.get(name, ()), key=_precedence)
        return fingerprint([(b.digest, None if b.bootstrap else b.arrival_us) for b in batches])

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables with at least one batch."""
        return tuple(self._batches)

    def batches(self, name: str) -> tuple[Batch, ...]:
        """Return the batches of one table."""
        return self._batches.get(name, ())

    def table(self, name: str) -> pa.Table:
        """Return all versions of a table's rows, sorted by `_order`.

        Returns:
            Every column of every batch (null where a batch lacks it), `_arrival` (int64 us, BEFORE_ALL for a bootstrap
            load) and `_order` (int64, later is newer).

        Raises:
            NotFoundError: The table has no batch.
        """
        if name not in self._batches:
            raise NotFoundError(
                f"nothing of table {name!r} has come",
                where=f"lake of {self.problem}",
                found=self.tables,
                fix="ingest it first; a refused batch lies in the quarantine folder with its reasons",
            )
        if name not in self._tables:
            self._tables[name] = _numbered(self._rows(name))
            if self._tables.keys() == self._batches.keys():
                self._earlier = None
        return self._tables[name]

    def _rows(self, name: str) -> pa.Table:
        """All versions of a table's rows in version order, read from as few files as possible."""
        batches = sorted(self._batches[name], key=_precedence)
        first = self._in_memory(name, batches) or read_assembled(batches)
        if first is not None:
            covered, rows = first
            parts = [_with_arrival(load(batch), batch) for batch in batches[covered:]]
            latest, _ = _precedence(batches[covered - 1])
            whole = extended(rows, parts, batches[0].keys, latest) if parts else rows
            if whole is not None:
                leave_assembled(batches, whole, covered)
                return whole
        rows = _assemble(name, batches)
        leave_assembled(batches, rows, 0)
        return rows

    def _in_memory(self, name: str, batches: Sequence[Batch]) -> tuple[int, pa.Table] | None:
        """The rows that the earlier snapshot holds of the first batches, and how many batches these are."""
        if self._earlier is None or name not in self._earlier._tables:
            return None
        before = sorted(self._earlier._batches[name], key=_precedence)
        if [item.path for item in before] != [item.path for item in batches[: len(before)]]:
            return None
        return len(before), self._earlier._tables[name].drop_columns([ORDER])


def unify(table: str, schemas: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    """Unify the schemas of all batches of a table; int64 and float64 become float64.

    Args:
        table: Name of the table, for errors.
        schemas: (batch id, schema) of each batch.

    Raises:
        DataError: A column has incompatible types; both types and batches are named.
    """
    types: dict[str, tuple[str, pa.DataType]] = {}
    for batch, schema in schemas:
        for field in schema:
            origin, kind = types.get(field.name, (batch, field.type))
            types[field.name] = (
                origin if kind == field.type else batch,
                _common_type(table, field, kind, batch, origin),
            )
    return pa.schema([pa.field(name, kind) for name, (_, kind) in types.items()])


def _common_type(table: str, field: pa.Field, kind: pa.DataType, batch: str, origin: str) -> pa.DataType:
    if field.type == kind or pa.types.is_null(field.type):
        return kind
    if pa.types.is_null(kind):
        return field.type
    if {field.type, kind} == {pa.int64(), pa.float64()}:
        return pa.float64()
    raise DataError(
        f"{field.type} in {batch}, but {kind} in batch {origin}",
        where=f"{table}.{field.name}",
        fix="send the column with the type it had, or under another name",
    )


def _assemble(name: str, ordered: Sequence[Batch]) -> pa.Table:
    """The rows of batches in version order, without repeats."""
    parts = [_with_arrival(load(batch), batch) for batch in ordered]
    schema = unify(name, [(batch.id, part.schema) for batch, part in zip(ordered, parts, strict=True)])
    rows = pa.concat_tables([_cast_to_schema(part, schema) for part in parts]).combine_chunks()
    arrival = rows.column(ARRIVAL).to_numpy()
    if np.any(arrival[1:] < arrival[:-1]):
        rows = rows.take(pa.array(np.argsort(arrival, kind="stable")))
    return drop_repeats(rows, ordered[0].keys)


def _numbered(rows: pa.Table) -> pa.Table:
    return rows.append_column(ORDER, pa.array(np.arange(rows.num_rows, dtype=np.int64)))


def _precedence(batch: Batch) -> tuple[int, int]:
    return (BEFORE_ALL if batch.bootstrap else batch.arrival_us, batch.sequence)


def _with_arrival(rows: pa.Table, batch: Batch) -> pa.Table:
    if ARRIVAL in rows.column_names:
        position = rows.column_names.index(ARRIVAL)
        return rows.set_column(position, ARRIVAL, rows.column(ARRIVAL).cast(pa.int64()))
    arrival = BEFORE_ALL if batch.bootstrap else batch.arrival_us
    return rows.append_column(ARRIVAL, pa.array(np.full(rows.num_rows, arrival, dtype=np.int64)))


def _cast_to_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = {}
    for field in schema:
        kind = pa.float64() if pa.types.is_null(field.type) else field.type
        if field.name in rows.column_names:
            columns[field.name] = rows.column(field.name).cast(kind)
        else:
            columns[field.name] = pa.nulls(rows.num_rows, kind)
    return pa.table(columns)
