"""Keep what the model's inputs take from stored features, by entity, until the store changes.

Of a request's join keys, the stored features of all views, the transforms of them alone and their places in the design
matrix are computed once (`InputPlan.prepare`) and copied for every later request. Before each read the store's state is
compared with that of the rows (`OnlineStore.state`), so a served value is never older than what the store holds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.serving.entity_rows import AgesAt, EntityRows
from headrace.serving.inputs import InputPlan, PreparedRows
from headrace.store.online import Age, OnlineStore

#: Rows in memory; beyond it they are forgotten. A row of 120 features takes about 3 KB.
MAX_ROWS = 8192
_ATTEMPTS = 3
_FIRST_ROWS = 64

_Keys = tuple[Any, ...]


@dataclass
class _Kept:
    """Prepared rows of one state of the store and one tick.

    Attributes:
        state: The tick, microseconds UTC, and the state.
        ages: Ages of the views at it.
        numbers, instants, features, design: As of `PreparedRows`, with room for more rows.
        texts: Stored texts of each row.
        known: For each row which views have its key.
        places: Join keys -> row.
    """

    state: tuple[Any, ...]
    ages: AgesAt
    numbers: NDArray[np.float64]
    instants: NDArray[np.int64]
    features: NDArray[np.float64]
    design: NDArray[np.float32]
    texts: list[list[Any]] = field(default_factory=list)
    known: list[tuple[bool, ...]] = field(default_factory=list)
    places: dict[_Keys, int] = field(default_factory=dict)

    @classmethod
    def like(cls, state: tuple[Any, ...], ages: AgesAt, rows: PreparedRows) -> _Kept:
        """Return no rows, with arrays as wide as those of `rows`."""
        return cls(
            state=state,
            ages=ages,
            numbers=np.empty((_FIRST_ROWS, rows.numbers.shape[1])),
            instants=np.empty((_FIRST_ROWS, rows.instants.shape[1]), dtype=np.int64),
            features=np.empty((_FIRST_ROWS, rows.features.shape[1])),
            design=np.empty((_FIRST_ROWS, rows.design.shape[1]), dtype=np.float32),
        )

    def add(self, keys: Sequence[_Keys], rows: PreparedRows, known: Sequence[tuple[bool, ...]]) -> None:
        start, end = len(self.known), len(self.known) + len(keys)
        for name in ("numbers", "instants", "features", "design"):
            own = getattr(self, name)
            if end > len(own):
                own = np.concatenate([own, np.empty((max(end, 2 * len(own)) - len(own), own.shape[1]), own.dtype)])
                setattr(self, name, own)
            own[start:end] = getattr(rows, name)
        self.texts += rows.texts
        self.known += known
        self.places.update(zip(keys, range(start, end), strict=True))

    def take(self, places: Sequence[int], now_us: int) -> tuple[PreparedRows, list[Mapping[str, Age]]]:
        """Return copies of rows, and the ages of their views."""
        rows = PreparedRows(
            numbers=self.numbers.take(places, axis=0),
            instants=self.instants.take(places, axis=0),
            features=self.features.take(places, axis=0),
            design=self.design.take(places, axis=0),
            texts=[self.texts[place] for place in places],
        )
        return rows, [self.ages.of(self.known[place], now_us) for place in places]


class KeptRows:
    """Reads prepared rows of one version. Thread-safe: each thread has its own rows.

    Args:
        online: The store.
        stored: Reads the stored features of the version.
        plan: Prepares them.
        max_rows: Largest number of rows in memory.
    """

    def __init__(self, online: OnlineStore, stored: EntityRows, plan: InputPlan, *, max_rows: int = MAX_ROWS) -> None:
        self._online = online
        self._stored = stored
        self._plan = plan
        self._max_rows = max_rows
        self._local = threading.local()

    def read(
        self, keys: Sequence[Mapping[str, Any]], now_us: int, tick_us: int
    ) -> tuple[PreparedRows, list[Mapping[str, Age]]]:
        """Return the prepared rows of requests, all from one state of the store, and the ages of their views.

        Raises as `OnlineStore.read`.

        Args:
            keys: Join keys of each request [n], all with the same names.
            now_us: The present on the production clock.
            tick_us: Its tick.
        """
        wanted = [tuple(item.values()) for item in keys]
        for _ in range(_ATTEMPTS):
            found = self._online.state()
            state = None if found is None else (tick_us, *found)
            kept: _Kept | None = getattr(self._local, "kept", None)
            if kept is not None and kept.state != state:
                kept = None
            if kept is not None:
                try:
                    return kept.take([kept.places[own] for own in wanted], now_us)
                except KeyError:
                    pass
            if state is None or len(keys) > self._max_rows // 2:
                break
            kept = self._with_absent(kept, state, dict(zip(wanted, keys, strict=True)), now_us)
            if self._online.state() == found:
                self._local.kept = kept
                return kept.take([kept.places[own] for own in wanted], now_us)
        rows = self._stored.read(keys, now_us)
        return self._plan.prepare(rows, tick_us), rows.ages

    def _with_absent(
        self, kept: _Kept | None, state: tuple[Any, ...], keys: Mapping[_Keys, Mapping[str, Any]], now_us: int
    ) -> _Kept:
        """Return kept rows of a state with those of all keys."""
        if kept is not None and len(kept.known) + len(keys) > self._max_rows:
            kept = None
        absent = {own: item for own, item in keys.items() if kept is None or own not in kept.places}
        rows = self._stored.read(list(absent.values()), now_us)
        prepared = self._plan.prepare(rows, state[0])
        if kept is None:
            kept = _Kept.like(state, AgesAt(self._online, rows.watermarks), prepared)
        kept.add(list(absent), prepared, rows.known)
        return kept
