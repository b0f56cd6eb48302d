"""What computes stored definitions: the local engine and the oracle, and whatever comes later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from headrace.schema import Problem
from headrace.synthesis.language.definitions import Stored

if TYPE_CHECKING:
    import pyarrow as pa


class Tables(Protocol):
    """A snapshot of the lake: every version of every row, with `_arrival` and `_order` (both int64)."""

    def table(self, name: str) -> pa.Table: ...


class Engine(Protocol):
    """Values of Direct and Aggregate definitions at ticks."""

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """One column per definition, named by its slug, one row per row of `keys`, in its order.

        keys: the join keys of the entities involved, and `tick` (int64 microseconds). A value at tick t comes from
        what was effectively known before t. Null is missing; a null join key gives null.
        """
