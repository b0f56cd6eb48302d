"""The local engine below a memory limit: everything at once where it fits, else in slabs of rows by way of the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.core.memory import release_unused_memory, resident_bytes
from headrace.schema import Problem
from headrace.synthesis.engines.local import LocalEngine, checked_groups
from headrace.synthesis.engines.memory.budget import RESERVE, MemoryBudget
from headrace.synthesis.engines.memory.partitioned import PartitionedComputation
from headrace.synthesis.engines.memory.spill import Spill
from headrace.synthesis.language.definitions import Stored
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import TablesInFiles
from headrace.synthesis.planning.plan import declared_tables

#: A slab takes this many times its values while it is sorted, finished and written.
_SLAB_COPIES = 5.0


@dataclass(frozen=True, kw_only=True)
class MemoryLimitedEngine:
    """A `PartitionedEngine` on this machine; its values are those of the local engine, bit for bit.

    Attributes:
        engine: computes the parts.
        max_memory: bytes that the process may hold in all while it computes.
    """

    engine: LocalEngine
    max_memory: int

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """All values at once, whatever they take. See `language.engine.Engine`."""
        self._require_tables(problem, definitions, keys, snapshot)
        return self.engine.compute(problem, definitions, keys, snapshot)

    def fits(
        self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables, row_bytes: float
    ) -> bool:
        """Whether all values at once fit. See `language.engine.PartitionedEngine`."""
        if not keys.num_rows or not definitions:
            return True
        self._require_tables(problem, definitions, keys, snapshot)
        total = PartitionedComputation(self.engine, problem, definitions, keys, snapshot).total_bytes
        return bool(total + row_bytes * keys.num_rows < MemoryBudget(self.max_memory).part_bytes())

    def slabs(
        self,
        problem: Problem,
        definitions: Sequence[Stored],
        keys: pa.Table,
        snapshot: Tables,
        row_bytes: float,
        folder: Path,
    ) -> Iterator[pa.Table]:
        """The values, slab by slab. See `language.engine.PartitionedEngine`."""
        self._require_tables(problem, definitions, keys, snapshot)
        computation = PartitionedComputation(self.engine, problem, definitions, keys, snapshot)
        budget = MemoryBudget(self.max_memory)
        bytes_per_row = max(computation.row_bytes + row_bytes, 8.0)
        most = budget.free_bytes / (_SLAB_COPIES * bytes_per_row)
        slab_rows = int(np.clip(most, 1_000, max(keys.num_rows, 1_000)))
        spill = Spill(folder, keys.num_rows, slab_rows)
        computation.write(spill, budget)
        del computation
        yield from read_slabs(spill, self.engine)

    def _require_tables(
        self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables
    ) -> None:
        """Refuse a limit below the large tables in files, before they are loaded."""
        if not isinstance(snapshot, TablesInFiles) or not definitions:
            return
        names = declared_tables(problem, checked_groups(problem, definitions, keys, snapshot))
        sizes = {name: snapshot.table_bytes(name) for name in names if snapshot.is_large(name)}
        enough = (resident_bytes() + RESERVE + sum(sizes.values())) / 1e6
        if sizes and enough * 1e6 > self.max_memory:
            largest = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in sizes.items())
            raise DataError(
                f'max_memory of {self.max_memory / 1e6:,.0f} MB is not enough: engine="local" holds its tables in '
                f"memory ({largest})",
                where=problem.name,
                fix=f'use engine="partitioned", or give at least {enough * 1.05:,.0f} MB',
                enough_mb=enough,
            )


def read_slabs(spill: Spill, engine: LocalEngine) -> Iterator[pa.Table]:
    """The slabs of a finished computation, one after the other; memory is returned to the system between them."""
    for slab in range(spill.slabs):
        release_unused_memory()
        yield pa.table(spill.read(slab))
        if engine.progress is not None:
            engine.progress(f"writing: {slab + 1} of {spill.slabs} row groups")
