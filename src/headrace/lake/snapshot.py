"""An immutable snapshot of the lake at an instant: all versions of all rows, in version order.

Versions are ordered by arrival of the row, then by the batch's order of first arrival, then by key. A row that equals
the previous version of its key is dropped, so re-sent rows and reordered batches give the same table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core.errors import NotFoundError
from headrace.core.fingerprint import fingerprint
from headrace.lake.assembled import extended, leave_assembled, read_assembled
from headrace.lake.batch import Batch, load
from headrace.lake.conform import ARRIVAL
from headrace.lake.streamed.table_files import read_files, table_files
from headrace.lake.table_schema import ORDER, cast_to_schema, precedence, row_bytes, rows_schema, unify, with_arrival
from headrace.lake.versions import drop_repeats

#: Bytes of a table in memory, about, from which it is read from files.
LARGE_BYTES = 128 << 20


class Snapshot:
    """A fixed set of batches, read at first use and cached in memory."""

    def __init__(self, *, problem: str, batches: Mapping[str, tuple[Batch, ...]], as_of_us: int | None) -> None:
        self.problem = problem
        self.as_of_us = as_of_us
        self._batches = dict(batches)
        self._tables: dict[str, pa.Table] = {}
        self._schemas: dict[str, tuple[int, pa.Schema]] = {}
        self._files: dict[str, tuple[Path, ...]] = {}
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
        batches = sorted(self._batches.get(name, ()), key=precedence)
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
        if name not in self._tables:
            self._ordered(name)  # raises where there is none
            if self.is_large(name):
                self._tables[name] = read_files(self.files(name))
            else:
                self._tables[name] = _numbered(self._rows(name))
            if self._tables.keys() == self._batches.keys():
                self._earlier = None
        return self._tables[name]

    def schema(self, name: str) -> pa.Schema:
        """Return the columns of `table` without reading rows; NotFoundError where the table has no batch."""
        if name in self._tables:
            return self._tables[name].schema
        ordered = self._ordered(name)
        count, found = self._schemas.get(name, (0, None))
        if found is None or count != len(ordered):
            found = rows_schema(name, ordered).append(pa.field(ORDER, pa.int64()))
            self._schemas[name] = (len(ordered), found)
        return found

    def table_bytes(self, name: str) -> int:
        """Return about how many bytes a table takes in memory; NotFoundError where it has no batch."""
        batches = self._ordered(name)
        return int(sum(batch.rows for batch in batches) * row_bytes(batches))

    def is_large(self, name: str) -> bool:
        """Return whether a table is read from files, since it is large and nobody has loaded it yet."""
        loaded = name in self._tables or (self._earlier is not None and name in self._earlier._tables)
        return name in self._batches and not loaded and self.table_bytes(name) > LARGE_BYTES

    def files(self, name: str) -> tuple[Path, ...]:
        """Return Parquet files that hold the rows of `table`, in its order. They are written at first use.

        Raises:
            NotFoundError: The table has no batch.
            DataError: The files cannot be written.
        """
        known = self._files.get(name, ())
        if not known or not all(path.exists() for path in known):
            self._files[name] = table_files(name, self._ordered(name))
        return self._files[name]

    def _ordered(self, name: str) -> list[Batch]:
        """The batches of a table in version order."""
        if name not in self._batches:
            raise NotFoundError(
                f"nothing of table {name!r} has come",
                where=f"lake of {self.problem}",
                found=self.tables,
                fix="ingest it first; a refused batch lies in the quarantine folder with its reasons",
            )
        return sorted(self._batches[name], key=precedence)

    def _rows(self, name: str) -> pa.Table:
        """All versions of a table's rows in version order, read from as few files as possible."""
        batches = self._ordered(name)
        first = self._in_memory(name, batches) or read_assembled(batches)
        if first is not None:
            covered, rows = first
            parts = [with_arrival(load(batch), batch) for batch in batches[covered:]]
            latest, _ = precedence(batches[covered - 1])
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
        before = sorted(self._earlier._batches[name], key=precedence)
        if [item.path for item in before] != [item.path for item in batches[: len(before)]]:
            return None
        return len(before), self._earlier._tables[name].drop_columns([ORDER])


def _assemble(name: str, ordered: Sequence[Batch]) -> pa.Table:
    """The rows of batches in version order, without repeats."""
    parts = [with_arrival(load(batch), batch) for batch in ordered]
    schema = unify(name, [(batch.id, part.schema) for batch, part in zip(ordered, parts, strict=True)])
    rows = pa.concat_tables([cast_to_schema(part, schema) for part in parts]).combine_chunks()
    arrival = rows.column(ARRIVAL).to_numpy()
    if np.any(arrival[1:] < arrival[:-1]):
        rows = rows.take(pa.array(np.argsort(arrival, kind="stable")))
    return drop_repeats(rows, ordered[0].keys)


def _numbered(rows: pa.Table) -> pa.Table:
    return rows.append_column(ORDER, pa.array(np.arange(rows.num_rows, dtype=np.int64)))
