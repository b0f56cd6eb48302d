"""The lake's tables in memory, extended by events as they arrive: the same rows as a snapshot that is read anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.fingerprint import fingerprint
from headrace.lake.batch import schema
from headrace.lake.conform import ARRIVAL
from headrace.lake.snapshot import Snapshot
from headrace.lake.store import Lake
from headrace.lake.table_schema import ORDER, unify
from headrace.lake.versions import kept_versions
from headrace.schema import EntitySet, Problem, Table


class LiveTables(Snapshot):
    """A snapshot of a problem's whole lake that grows.

    Args:
        lake: the lake.
        problem: its declaration.
    """

    def __init__(self, lake: Lake, problem: Problem) -> None:
        self._lake = lake
        self._declared = problem
        super().__init__(problem=problem.name, batches={}, as_of_us=None)
        self.synchronise()

    @property
    def entity_set(self) -> EntitySet:
        """The declared tables."""
        return self._declared.entity_set

    @property
    def fingerprint(self) -> str:
        """Digest of the rows and their arrivals over all tables, as that of the lake's snapshot."""
        return fingerprint({name: self.table_fingerprint(name) for name in sorted(self._batches)})

    def is_large(self, name: str) -> bool:
        """Whether a table is read from files: never, since its rows change in memory."""
        return False

    def source_schema(self, name: str) -> pa.Schema | None:
        """The types of a table's columns in the lake; None before its first batch."""
        present = self._batches.get(name, ())
        return unify(name, [(batch.id, schema(batch)) for batch in present]) if present else None

    def rows(self, table: Table) -> pa.Table:
        """All versions of a table's rows, the newest first."""
        versions = self.table(table.name)
        return versions.take(pa.array(np.arange(versions.num_rows)[::-1]))

    def synchronise(self) -> None:
        """Take the lake's batches, and forget the rows of tables to which another process has appended."""
        found = {table.name: self._lake.batches(table.name) for table in self._declared.entity_set.tables}
        batches = {name: present for name, present in found.items() if present}
        changed = [name for name in self._tables if batches.get(name) != self._batches.get(name)]
        self._batches = batches
        for name in changed:
            del self._tables[name]

    def extend(self, table: Table, rows: pa.Table) -> None:
        """Add rows that this process has just appended to the lake as its newest batch, with their arrivals.

        A row that equals the newest version of its key is left out, as when a snapshot is read.
        """
        known, before = self._tables.get(table.name), self._batches.get(table.name, ())
        self._batches = {**self._batches, table.name: self._lake.batches(table.name)}
        if known is None:
            return
        rows = rows.set_column(rows.column_names.index(ARRIVAL), ARRIVAL, rows[ARRIVAL].cast(pa.int64()))
        if len(self._batches[table.name]) != len(before) + 1 or not _fits(known, rows):
            del self._tables[table.name]  # to be read from the lake
            return
        rows = rows.select([name for name in known.column_names if name != ORDER])
        fresh = _new_versions(known.drop_columns([ORDER]), rows, table.keys)
        first = known[ORDER][-1].as_py() + 1 if known.num_rows else 0
        fresh = fresh.append_column(ORDER, pa.array(np.arange(first, first + fresh.num_rows, dtype=np.int64)))
        self._tables[table.name] = pa.concat_tables([known, fresh.select(known.column_names)]).combine_chunks()


def _fits(known: pa.Table, rows: pa.Table) -> bool:
    """Whether the rows have the same columns and types as the known ones, and came no earlier."""
    names = [name for name in known.column_names if name != ORDER]
    if {*names} != {*rows.column_names} or any(rows[name].type != known[name].type for name in names):
        return False
    return not known.num_rows or bool(known[ARRIVAL][-1].as_py() <= pc.min(rows[ARRIVAL]).as_py())


def _new_versions(known: pa.Table, rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Sort rows by arrival and key, and keep those that differ from the version of their key before them."""
    rows = rows.sort_by([(name, "ascending") for name in (ARRIVAL, *keys)])
    same_key = pc.is_in(known[keys[0]], value_set=rows[keys[0]].combine_chunks())
    earlier = known.filter(same_key)
    kept = kept_versions(pa.concat_tables([earlier, rows]).combine_chunks(), keys)
    return rows.filter(pa.array(kept[earlier.num_rows :]))
