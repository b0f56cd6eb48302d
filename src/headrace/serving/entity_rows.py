"""Read the stored features of request rows as arrays; rows that were read stay in memory until the store changes.

A row of a view is packed once: its numbers as one float64 array, its instants and texts beside it. Before each read
the store's state is compared with that of the packed rows (`OnlineStore.state`), so a served value is never older than
what the store holds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import NEVER
from headrace.store.online import Age, OnlineStore, ViewKeys, ViewRows
from headrace.store.online_file.tables import Watermark
from headrace.synthesis.language.definitions import Kind

#: Packed rows in memory; beyond it they are forgotten. A row of 20 numbers takes about 500 bytes.
MAX_ROWS = 50_000
#: Attempts to read rows of one state before they are used without being kept.
_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class StoredColumns:
    """Slugs of the stored features by how they are represented, in the order of the columns of `StoredRows`."""

    numbers: tuple[str, ...]
    instants: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def from_kinds(cls, kinds: Mapping[str, Kind]) -> StoredColumns:
        """Sort the slugs of stored features by their kinds."""
        texts = tuple(slug for slug, kind in kinds.items() if kind in ("categorical", "text"))
        instants = tuple(slug for slug, kind in kinds.items() if kind == "time")
        numbers = tuple(slug for slug in kinds if slug not in (*texts, *instants))
        return cls(numbers=numbers, instants=instants, texts=texts)


@dataclass(frozen=True, kw_only=True)
class StoredRows:
    """Stored features of several requests.

    Attributes:
        numbers: float64 [n, numbers], NaN is missing.
        instants: int64 [n, instants], microseconds UTC, NEVER is missing.
        texts: For each request its texts, None is missing.
        ages: For each request: view -> age. Requests whose views are alike share one mapping.
        known: For each request which views have its key.
        watermarks: View -> its last refresh.
    """

    numbers: NDArray[np.float64]
    instants: NDArray[np.int64]
    texts: list[list[Any]]
    ages: list[Mapping[str, Age]]
    known: list[tuple[bool, ...]] = field(default_factory=list)
    watermarks: Mapping[str, Watermark | None] = field(default_factory=dict)


class AgesAt:
    """Ages of the views of a service at one state of the store.

    Args:
        online: The store.
        watermarks: View -> its last refresh.
    """

    def __init__(self, online: OnlineStore, watermarks: Mapping[str, Watermark | None]) -> None:
        self._online = online
        self._watermarks = watermarks
        self._now_us = -1
        self._ages: dict[tuple[bool, ...], Mapping[str, Age]] = {}

    def of(self, known: tuple[bool, ...], now_us: int) -> Mapping[str, Age]:
        """Return view -> age for a request. known: which views have its key. Raises AheadError."""
        if now_us != self._now_us:
            self._now_us, self._ages = now_us, {}
        found = self._ages.get(known)
        if found is None:
            ages = self._online.view_ages(self._watermarks, now_us)
            found = self._ages[known] = {
                view: age if has_key else age.as_missing()
                for (view, age), has_key in zip(ages.items(), known, strict=True)
            }
        return found


@dataclass(frozen=True)
class _PackedRow:
    """One row of one view. known: whether the view has its key."""

    numbers: NDArray[np.float64]
    instants: tuple[int, ...]
    texts: tuple[str | None, ...]
    known: bool


@dataclass
class _Packed:
    """The packed rows of one state of the store.

    Attributes:
        state: The state, None where rows are not kept.
        view_keys: Gives the keys of requests in each view (`OnlineStore.view_keys`).
        order: Positions that bring the views' numbers, instants and texts into the order of `StoredColumns`.
        rows: For each view: key -> row.
        watermarks: View -> its last refresh.
        ages: Ages of the views.
    """

    state: tuple[Any, ...] | None
    view_keys: ViewKeys
    order: tuple[NDArray[np.intp], list[int], list[int]]
    rows: list[dict[tuple[Any, ...], _PackedRow]]
    watermarks: dict[str, Watermark | None]
    ages: AgesAt
    size: int = 0


class EntityRows:
    """Reads the stored features of one service. Thread-safe: each thread has its own rows.

    Args:
        online: The store.
        service: Name of the service.
        columns: Its stored features.
    """

    def __init__(self, online: OnlineStore, service: str, columns: StoredColumns) -> None:
        self._online = online
        self._service = service
        self._columns = columns
        self._local = threading.local()

    def read(self, keys: Sequence[Mapping[str, Any]], now_us: int) -> StoredRows:
        """Read the stored features of requests, all from one state of the store; raises as `OnlineStore.read`.

        Args:
            keys: Join keys of each request [n].
            now_us: The present on the production clock.
        """
        packed, view_keys = self._current(keys)
        rows = [[own[key] for own, key in zip(packed.rows, row_keys, strict=True)] for row_keys in view_keys]
        known = [tuple(part.known for part in row) for row in rows]
        return StoredRows(
            numbers=self._numbers(packed, rows),
            instants=np.array([_ordered(row, "instants", packed.order[1]) for row in rows], dtype=np.int64).reshape(
                len(rows), -1
            ),
            texts=[_ordered(row, "texts", packed.order[2]) for row in rows],
            ages=[packed.ages.of(own, now_us) for own in known],
            known=known,
            watermarks=packed.watermarks,
        )

    def _current(self, keys: Sequence[Mapping[str, Any]]) -> tuple[_Packed, list[tuple[tuple[Any, ...], ...]]]:
        """Return packed rows of one state that hold every key, and for each request its key in each view."""
        for attempt in range(_ATTEMPTS):
            state, packed = self._online.state(), getattr(self._local, "packed", None)
            if packed is None or state is None or packed.state != state or packed.size > MAX_ROWS:
                packed = self._empty(state)
            view_keys = packed.view_keys(keys)
            absent = [key for key, own in zip(keys, view_keys, strict=True) if not self._holds(packed, own)]
            if not absent:
                return packed, view_keys
            # Where the store keeps changing, or its state is not known, the rows of one read are used and not kept.
            once = state is None or attempt == _ATTEMPTS - 1
            packed = self._empty(state) if once else packed
            self._add(packed, self._online.view_rows(self._service, keys if once else absent))
            if once:
                self._local.packed = None
                return packed, view_keys
            if self._online.state() == state:
                self._local.packed = packed
                return packed, view_keys
        raise AssertionError("the last attempt returns")

    @staticmethod
    def _holds(packed: _Packed, view_keys: tuple[tuple[Any, ...], ...]) -> bool:
        return all(key in own for own, key in zip(packed.rows, view_keys, strict=True))

    def _empty(self, state: tuple[Any, ...] | None) -> _Packed:
        views = self._online.view_columns(self._service)
        kinds = (self._columns.numbers, self._columns.instants, self._columns.texts)
        orders = []
        for names in kinds:
            wanted = frozenset(names)
            stored = [slug for columns in views.values() for slug in columns if slug in wanted]
            orders.append([stored.index(slug) for slug in names])
        return _Packed(
            state=state,
            view_keys=self._online.view_keys(self._service),
            order=(np.array(orders[0], dtype=np.intp), orders[1], orders[2]),
            rows=[{} for _ in views],
            watermarks=dict.fromkeys(views),
            ages=AgesAt(self._online, dict.fromkeys(views)),
        )

    def _add(self, packed: _Packed, read: Sequence[ViewRows]) -> None:
        packed.watermarks = {rows.view: rows.watermark for rows in read}
        packed.ages = AgesAt(self._online, packed.watermarks)
        for own, rows in zip(packed.rows, read, strict=True):
            numbers, instants, texts = (
                [at for at, slug in enumerate(rows.columns) if slug in names]
                for names in (self._columns.numbers, self._columns.instants, self._columns.texts)
            )
            for key, row, known in zip(rows.keys, rows.rows, rows.known, strict=True):
                packed.size += key not in own
                own[key] = _PackedRow(
                    np.array([row[at] for at in numbers], dtype=np.float64),
                    tuple(NEVER if row[at] is None else int(row[at]) for at in instants),
                    tuple(row[at] for at in texts),
                    known,
                )

    def _numbers(self, packed: _Packed, rows: Sequence[Sequence[_PackedRow]]) -> NDArray[np.float64]:
        parts = [part.numbers for row in rows for part in row]
        numbers = np.concatenate(parts) if parts else np.empty(0)
        return numbers.reshape(len(rows), len(self._columns.numbers)).take(packed.order[0], axis=1)


def _ordered(row: Sequence[_PackedRow], name: str, order: Sequence[int]) -> list[Any]:
    values = [value for part in row for value in getattr(part, name)]
    return [values[at] for at in order]
