"""One table of a snapshot as numpy arrays; each derived array is computed once and shared by all groups and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from headrace.core.clock import NEVER
from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.synthesis.history.column_values import ColumnValues
from headrace.synthesis.history.keys import KeyCodes, KeyColumn, are_distinct, encode_rows, plain
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.history.label_history_cache import cached_label_history
from headrace.synthesis.history.labels import label_values
from headrace.synthesis.history.versions import effective_versions
from headrace.synthesis.language.columns import ORDER, clock_of, is_text, label_column
from headrace.synthesis.language.definitions import Definition, RowColumn, leaves
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.values import (
    Flags,
    Floats,
    Ints,
    as_array,
    categories,
    instants,
    numbers,
    texts,
)
from headrace.synthesis.primitives.finish import finish

T = TypeVar("T")


class Rows:
    """A table's rows, all versions among them. Arrays are in row order unless the docstring says otherwise.

    Args:
        problem: declares the table.
        name: of the table.
        data: its rows.
    """

    def __init__(self, problem: Problem, name: str, data: pa.Table) -> None:
        self.table = problem.entity_set.table(name)
        self.data = data
        self.size = data.num_rows
        self.problem = problem
        self._cache: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def cached(self, key: Any, compute: Callable[[], T]) -> T:
        """A derived value by key, computed at its first use."""
        with self._lock:
            if key not in self._cache:
                self._cache[key] = compute()
            result: T = self._cache[key]
            return result

    def cached_latest(self, key: Any, stamp: Any, compute: Callable[[], T]) -> T:
        """A derived value by key, computed again when the stamp differs; only the last one is cached."""
        with self._lock:
            cached = self._cache.get(key)
            if cached is None or cached[0] != stamp:
                cached = self._cache[key] = (stamp, compute())
            result: T = cached[1]
            return result

    def raw(self, column: str) -> pa.Array:
        """A column in Arrow, or the derived label."""
        return self.cached(("raw", column), lambda: self._raw(column))

    def _raw(self, column: str) -> pa.Array:
        if self.table.name == self.problem.spine.table and column == label_column(self.problem):
            return pa.array(label_values(self.problem, self.data), from_pandas=True)
        if column not in self.data.column_names:
            raise DataError(f"no column {column!r}", where=self.table.name, found=self.data.column_names)
        values = as_array(self.data[column])
        return texts(values) if self.table.roles.get(column) == "categorical" else values

    @property
    def order(self) -> Ints:
        """The rank of each row in the order of appending [n]."""

        def compute() -> Ints:
            order = self._appended()
            if np.all(order[1:] > order[:-1]):  # as in a snapshot: nothing to sort
                return np.arange(len(order), dtype=np.int64)
            rank = np.empty(len(order), dtype=np.int64)
            rank[np.argsort(order, kind="stable")] = np.arange(len(order))
            return rank

        return self.cached("order", compute)

    def _appended(self) -> Ints:
        return np.asarray(as_array(self.data[ORDER]).to_numpy(zero_copy_only=False))

    def known(self, clock: tuple[str, ...]) -> Ints:
        """Effective known time of each row on a clock, in us [n]."""
        return self.cached(("known", clock), lambda: effective_known(self.table, clock, self.data))

    def by_known(self, clock: tuple[str, ...]) -> Ints:
        """Row numbers by (known time, order); rows that never become known are left out."""

        def compute() -> Ints:
            known = self.known(clock)
            ordered = np.lexsort((self.order, known))
            return ordered[: int(np.searchsorted(known[ordered], NEVER))]

        return self.cached(("by_known", clock), compute)

    def effective_versions(self, clock: tuple[str, ...]) -> Ints:
        """Row numbers of versions that are in effect at some instant on a clock."""
        return self.cached(
            ("effective versions", clock), lambda: effective_versions(self.versions(), self.known(clock), self.order)
        )

    def event(self) -> Ints:
        """Event time of each row, in us [n]."""
        return self.cached("event", self._event)

    def _event(self) -> Ints:
        if self.table.time is None:
            raise DataError("a lookback on event time needs one", where=self.table.name, fix="declare time=")
        return instants(self.data[self.table.time])

    def column_values(self, column: str) -> ColumnValues:
        """The values of a column [n]."""
        return self.cached(("values", column), lambda: ColumnValues.of(self.raw(column)))

    def constant_values(self, definition: Definition) -> ColumnValues:
        """The values of a definition that reads only the row [n]: a column, or a transform of columns."""
        if isinstance(definition, RowColumn):
            return self.column_values(definition.column)

        def compute() -> ColumnValues:
            ticks = np.zeros(self.size, dtype=np.int64)
            given = {leaf.column: self.raw(leaf.column) for leaf in leaves(definition) if isinstance(leaf, RowColumn)}
            return ColumnValues.of(
                as_array(finish([definition], {}, given, ticks, ticks)[definition.slug]), definition.kind
            )

        return self.cached(("constant values", definition), compute)

    def joint_identity(self, columns: tuple[str, ...], on_event: bool) -> Ints:
        """int64 [n], equal where two rows have equal values in these columns, and equal event times if `on_event`."""

        def compute() -> Ints:
            parts = [self.identity(column) for column in columns] + ([self.event()] if on_event else [])
            if not parts:
                return np.zeros(self.size, dtype=np.int64)
            joint = parts[0]
            for part in parts[1:]:
                one, other = (np.unique(item, return_inverse=True)[1].reshape(-1) for item in (joint, part))
                joint = one.astype(np.int64) * (int(other.max(initial=0)) + 1) + other
            return joint

        return self.cached(("joint identity", columns, on_event), compute)

    def numbers(self, column: str) -> Floats:
        """A column as float64, NaN where missing."""
        return self.cached(("numbers", column), lambda: numbers(self.raw(column)))

    def categories(self, column: str) -> tuple[Ints, pa.Array]:
        """A column as codes and sorted categories."""
        return self.cached(("categories", column), lambda: categories(self.raw(column)))

    def identity(self, column: str) -> Ints:
        """int64 [n], equal exactly where two values are (missing equals missing)."""

        def compute() -> Ints:
            raw = self.raw(column)
            if is_text(raw.type):
                return self.categories(column)[0]
            if pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type):
                return instants(raw)
            if pa.types.is_integer(raw.type):  # exact, where a key has more digits than a float64
                return encode_rows([raw])[0]
            values: Floats = self.numbers(column) + 0.0
            return values.view(np.int64)

        return self.cached(("identity", column), compute)

    def is_valid(self, column: str) -> Flags:
        """Where a column is not null [n]."""
        return self.cached(
            ("is valid", column), lambda: np.asarray(self.raw(column).is_valid().to_numpy(zero_copy_only=False))
        )

    def key_versions(self, column: str) -> tuple[Ints, Ints, Ints, Ints]:
        """The versions of each key that are in effect at some instant, for one column.

        Returns:
            Key code of each row [n]; known time in us [k], first position of each code [codes + 1] and row number [k]
            of the versions, by (key, known time).
        """

        def compute() -> tuple[Ints, Ints, Ints, Ints]:
            codes, many = encode_rows([plain(self.raw(key)) for key in self.table.keys])
            clock = clock_of(self.problem, self.table, (*self.table.keys, column))
            row = effective_versions(codes, self.known(clock), self.order)
            return codes, self.known(clock)[row], np.searchsorted(codes[row], np.arange(many + 1)), row

        return self.cached(("key_versions", column), compute)

    def key_codes(self, columns: tuple[str, ...]) -> Ints:
        """Codes of a key [n], -1 where one of its columns is null."""
        return self.keys(columns).codes

    def keys(self, columns: tuple[str, ...]) -> KeyCodes:
        """A key of some columns, which finds the codes of other rows."""

        def column(name: str) -> KeyColumn:
            return self.cached(("key column", name), lambda: KeyColumn(self.raw(name)))

        return self.cached(("key", columns), lambda: KeyCodes([column(name) for name in columns]))

    def versions(self) -> Ints | None:
        """The code of each row's key, -1 where the row is its key's only version; None if all are."""

        def compute() -> Ints | None:
            if not self.size:
                return None
            keys = [self.raw(column) for column in self.table.keys]
            if are_distinct(keys):
                return None
            codes, count = encode_rows(keys)
            many = np.bincount(codes[codes >= 0], minlength=count) > 1
            return np.where((codes >= 0) & many[codes], codes, -1) if many.any() else None

        return self.cached("versions", compute)


class Sources:
    """The tables of a snapshot as `Rows`, each built once."""

    def __init__(self, problem: Problem, snapshot: Tables) -> None:
        self.problem = problem
        self._snapshot = snapshot
        self._rows: dict[str, Rows] = {}
        self._lock = threading.Lock()

    def rows(self, name: str) -> Rows:
        """The rows of a table."""
        with self._lock:
            if name not in self._rows:
                self._rows[name] = Rows(self.problem, name, self._table(name))
            return self._rows[name]

    def _table(self, name: str) -> pa.Table:
        derived = any(item.table.name == name for item in self.problem.entity_set.derived)
        return cached_label_history(self.problem, self._snapshot) if derived else self._snapshot.table(name)
