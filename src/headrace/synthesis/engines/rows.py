"""One table of a snapshot as numpy, each derived array made once and shared by all groups and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from headrace.core.clock import NEVER
from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.synthesis.columns import ORDER, is_text, label_column
from headrace.synthesis.engines.assertions import standing_versions
from headrace.synthesis.engines.keys import encode_rows
from headrace.synthesis.known import effective_known
from headrace.synthesis.labels import label_values
from headrace.synthesis.values import (
    Flags,
    Floats,
    Ints,
    as_array,
    categories,
    instants,
    numbers,
    texts,
)

T = TypeVar("T")


class Rows:
    """A table's rows, versions and all. Arrays are in the table's row order unless they say otherwise."""

    def __init__(self, problem: Problem, name: str, data: pa.Table) -> None:
        self.table = problem.entity_set.table(name)
        self.data = data
        self._problem = problem
        self._made: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def _once(self, key: Any, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            result: T = self._made[key]
            return result

    def raw(self, column: str) -> pa.Array:
        """A column as it is, or the derived label."""
        return self._once(("raw", column), lambda: self._raw(column))

    def _raw(self, column: str) -> pa.Array:
        if self.table.name == self._problem.spine.table and column == label_column(self._problem):
            return pa.array(label_values(self._problem, self.data), from_pandas=True)
        if column not in self.data.column_names:
            raise DataError(f"no column {column!r}", where=self.table.name, found=self.data.column_names)
        values = as_array(self.data[column])
        return texts(values) if self.table.roles.get(column) == "categorical" else values

    @property
    def order(self) -> Ints:
        """When a row was appended, as a rank without gaps [n]."""

        def make() -> Ints:
            order = as_array(self.data[ORDER]).to_numpy(zero_copy_only=False)
            rank = np.empty(len(order), dtype=np.int64)
            rank[np.argsort(order, kind="stable")] = np.arange(len(order))
            return rank

        return self._once("order", make)

    def known(self, clock: tuple[str, ...]) -> Ints:
        """Effective known time of each row on a clock."""
        return self._once(("known", clock), lambda: effective_known(self.table, clock, self.data))

    def by_known(self, clock: tuple[str, ...]) -> Ints:
        """Row numbers by (known time, order), those that are never known left out."""

        def make() -> Ints:
            known = self.known(clock)
            ordered = np.lexsort((self.order, known))
            return ordered[: int(np.searchsorted(known[ordered], NEVER))]

        return self._once(("by_known", clock), make)

    def standing(self, clock: tuple[str, ...]) -> Ints:
        """Row numbers of versions that count at some instant on a clock."""
        return self._once(
            ("standing", clock), lambda: standing_versions(self.versions(), self.known(clock), self.order)
        )

    def event(self) -> Ints:
        """Event time of each row."""
        if self.table.time is None:
            raise DataError("a lookback on event time needs one", where=self.table.name, fix="declare time=")
        column = self.table.time
        return self._once("event", lambda: instants(self.data[column]))

    def numbers(self, column: str) -> Floats:
        """A column as float64, NaN where missing."""
        return self._once(("numbers", column), lambda: numbers(self.raw(column)))

    def categories(self, column: str) -> tuple[Ints, pa.Array]:
        """A column as codes and sorted categories."""
        return self._once(("categories", column), lambda: categories(self.raw(column)))

    def identity(self, column: str) -> Ints:
        """int64 [n], equal exactly where two values are (missing equals missing)."""

        def make() -> Ints:
            raw = self.raw(column)
            if is_text(raw.type):
                return self.categories(column)[0]
            if pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type):
                return instants(raw)
            values: Floats = self.numbers(column) + 0.0
            return values.view(np.int64)

        return self._once(("identity", column), make)

    def present(self, column: str) -> Flags:
        """Where a column is not null [n]."""

        def make() -> Flags:
            raw = self.raw(column)
            if is_text(raw.type):
                return np.asarray(self.categories(column)[0] >= 0)
            if pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type):
                return np.asarray(instants(raw) != NEVER)
            return np.asarray(~np.isnan(self.numbers(column)))

        return self._once(("present", column), make)

    def versions(self) -> Ints | None:
        """The code of each row's key, -1 where the row is its key's only version; None if all are."""

        def make() -> Ints | None:
            if not self.data.num_rows:
                return None
            codes, count = encode_rows([self.raw(column) for column in self.table.keys])
            many = np.bincount(codes[codes >= 0], minlength=count) > 1
            return np.where((codes >= 0) & many[codes], codes, -1) if many.any() else None

        return self._once("versions", make)

    def entity_codes(self, keys: Sequence[str]) -> tuple[Ints, int]:
        """Codes [n] of the rows' values of some columns (-1 where one is null), and how many there are."""
        return self._once(("keys", tuple(keys)), lambda: encode_rows([self.raw(column) for column in keys]))
