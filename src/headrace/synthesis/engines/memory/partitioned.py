"""Compute definitions in parts below a memory limit: entity by entity, each split by key, the results kept on disk.

How large a part may be is estimated (`estimate`) and then learned: what the last part really took corrects the next
one. The tables themselves, what is derived of them once, and one key's history at a time stay in memory: where they do
not fit, the limit is refused before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from headrace.core.memory import PeakMemory, release_unused_memory, resident_bytes
from headrace.schema import Problem
from headrace.synthesis.engines.local import LocalEngine, checked_groups, compute_groups, join_column_values
from headrace.synthesis.engines.memory.budget import MemoryBudget, require_memory
from headrace.synthesis.engines.memory.estimate import MemoryEstimate, derived_bytes, estimate_entity, result_bytes
from headrace.synthesis.engines.memory.parts import QueryParts
from headrace.synthesis.engines.memory.spill import Spill
from headrace.synthesis.history.keys import encode_rows
from headrace.synthesis.history.rows import Sources
from headrace.synthesis.language.definitions import Stored
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.values import Ints
from headrace.synthesis.planning.plan import Group


class PartitionedComputation:
    """One computation of definitions at keys: `total_bytes` says whether parts are needed, `write` computes them.

    Attributes:
        row_bytes: bytes of the results of one row.
    """

    def __init__(
        self, engine: LocalEngine, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables
    ) -> None:
        self._problem, self._threads, self._progress = problem, engine.threads, engine.progress
        self._resident_before = resident_bytes()
        groups = checked_groups(problem, definitions, keys, snapshot)
        self._groups: dict[tuple[str, ...], list[Group]] = {}
        for group in groups:
            self._groups.setdefault(group.join_keys, []).append(group)
        self._join_values: Mapping[str, pa.Array] = join_column_values(keys, groups)
        self._ticks = np.asarray(keys["tick"].to_numpy(), dtype=np.int64)
        self._sources = Sources(problem, snapshot)
        self.row_bytes, self._derived = result_bytes(groups), derived_bytes(self._sources, groups)
        self._estimates = {join_keys: self._estimate(join_keys) for join_keys in self._groups}

    def _key_codes(self, join_keys: tuple[str, ...]) -> Ints:
        return encode_rows([self._join_values[name] for name in join_keys])[0]

    def _estimate(self, join_keys: tuple[str, ...]) -> MemoryEstimate:
        values = {name: self._join_values[name] for name in join_keys}
        groups = self._groups[join_keys]
        return estimate_entity(self._sources, groups, values, self._key_codes(join_keys), self._threads)

    @property
    def total_bytes(self) -> float:
        """Bytes that the whole computation takes at once, its results among them."""
        many = len(self._ticks)
        largest = max(
            estimate.tables + estimate.query * many + float(estimate.history.sum())
            for estimate in self._estimates.values()
        )
        return largest * min(len(self._estimates), 2) + self.row_bytes * many + self._derived

    def _smallest_bytes(self) -> float:
        """Bytes of the largest among the smallest parts of each entity."""
        return max(
            QueryParts(estimate, self._key_codes(join_keys), self._ticks).smallest_bytes
            for join_keys, estimate in self._estimates.items()
        )

    def write(self, spill: Spill, budget: MemoryBudget) -> None:
        """Compute everything, part by part, onto disk. Raises DataError where the limit is too low for that."""
        release_unused_memory()
        derived_already = max(resident_bytes() - self._resident_before, 0)
        budget.reserved = reserved = max(self._derived - derived_already, 0.0)
        if self._smallest_bytes() > budget.free_bytes and self._threads > 1:  # several threads need more
            self._threads = 1
            self._estimates = {join_keys: self._estimate(join_keys) for join_keys in self._groups}
        require_memory(self._smallest_bytes(), budget, where=self._problem.name)
        for join_keys in self._estimates:
            for rows in self._parts(join_keys, budget, reserved / len(self._estimates)):
                values = {name: self._join_values[name].take(pa.array(rows)) for name in join_keys}
                columns = compute_groups(
                    self._sources, self._groups[join_keys], values, self._ticks[rows], self._threads
                )
                spill.write("+".join(join_keys), rows, columns)
                del columns, values  # before the next part
        spill.close()

    def _parts(self, join_keys: tuple[str, ...], budget: MemoryBudget, reserved: float) -> Iterator[Ints]:
        """Row numbers of one part after the other; what each takes is measured, and sizes the next.

        Args:
            join_keys: of the entity.
            budget: of the whole computation.
            reserved: bytes that the first part derives for all of them.
        """
        parts, done = QueryParts(self._estimates[join_keys], self._key_codes(join_keys), self._ticks), 0
        for rows, estimated in parts.split(budget.part_bytes):
            resident = resident_bytes()
            with PeakMemory() as watch:
                yield rows
            budget.learn(estimated + reserved, watch.peak - resident)
            budget.reserved, reserved = budget.reserved - reserved, 0.0
            done += len(rows)
            if self._progress is not None:
                self._progress(f"{', '.join(join_keys)}: {done:,} of {len(parts):,} rows")
