"""The protocols of engines: what computes the stored definitions. The local engine and the oracle implement them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from headrace.schema import Problem
from headrace.synthesis.language.definitions import Stored

if TYPE_CHECKING:
    import pyarrow as pa


class Tables(Protocol):
    """A snapshot of the lake: every version of every row, with `_arrival` and `_order` (both int64)."""

    def table(self, name: str) -> pa.Table:
        """The rows of a table."""


class Engine(Protocol):
    """Computes the values of Direct and Aggregate definitions at ticks."""

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """Compute definitions for the keys and ticks of a table.

        Args:
            problem: declares the tables and entities.
            definitions: what to compute.
            keys: the join keys of the entities involved, and `tick` (int64 us), one row a query.
            snapshot: the tables.

        Returns:
            One column per definition, named by its slug, one row per row of `keys`, in its order. A value at tick t
            comes from what was effectively known before t. Null is missing; a null join key gives null.
        """


@runtime_checkable
class PartitionedEngine(Engine, Protocol):
    """An engine that can also compute more than fits into memory."""

    def fits(
        self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables, row_bytes: float
    ) -> bool:
        """Whether all values at once, and `row_bytes` of the caller for each row, fit into the engine's memory."""

    def slabs(
        self,
        problem: Problem,
        definitions: Sequence[Stored],
        keys: pa.Table,
        snapshot: Tables,
        row_bytes: float,
        folder: Path,
    ) -> Iterator[pa.Table]:
        """The values of `compute`, as tables of consecutive rows.

        Args:
            problem: declares the tables and entities.
            definitions: what to compute.
            keys: join keys and ticks, as in `compute`.
            snapshot: the tables.
            row_bytes: bytes that the caller takes for each row while it holds a slab.
            folder: an empty folder for the engine's files; the caller removes it.

        Raises:
            DataError: not even the smallest part fits; nothing was computed.
        """
