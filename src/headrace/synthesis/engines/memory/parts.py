"""Queries cut into parts by key: each asks for some entities, and for one with many queries, for a stretch of its time.

A value depends on its own entity's history and its own tick, so that parts may be computed one after the other, in any
sizes. In the order of (entity, tick) a part is a run: it needs the rows of the entities in it, and of no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from headrace.core.errors import DataError
from headrace.synthesis.engines.memory.estimate import Need
from headrace.synthesis.language.values import Ints

#: A part has at least this share of the queries, or the limit is refused: every part passes over the tables.
_LEAST_SHARE = 1 / 40


class Parts:
    """The queries of one entity, cut as they are asked for. entity [queries]: code, -1 for null; ticks [queries]."""

    def __init__(self, need: Need, entity: Ints, ticks: Ints) -> None:
        self.need = need
        self._order = np.lexsort((ticks, entity))
        self._entity = entity[self._order].astype(np.int32)
        #: Bytes of history up to each entity; the first is null, which has none.
        self._before = np.concatenate([[0.0, 0.0], np.cumsum(need.history)])

    def __len__(self) -> int:
        return len(self._order)

    @property
    def least(self) -> float:
        """Bytes that the smallest part takes that a limit must leave room for."""
        few = int(np.ceil(len(self) * _LEAST_SHARE))
        starts = np.arange(0, len(self), max(few, 1))
        return max((self._bytes(int(at), min(int(at) + few, len(self))) for at in starts), default=self.need.table)

    def cut(self, room: Callable[[], float]) -> Iterator[tuple[Ints, float]]:
        """Query numbers, ascending, of one part after the other, and the bytes that it is thought to take.

        room: bytes that the next part may take, asked anew for each.
        """
        at = 0
        while at < len(self):
            stop = self._stop(at, room())
            yield np.sort(self._order[at:stop]), self._bytes(at, stop)
            at = stop

    def _bytes(self, start: int, stop: int) -> float:
        first, last = self._entity[start] + 1, self._entity[stop - 1] + 1
        return self.need.of(stop - start, float(self._before[last + 1] - self._before[first]))

    def _stop(self, start: int, room: float) -> int:
        """The end of the longest part from `start` on that fits; not shorter than the least share."""
        low = min(start + max(int(len(self) * _LEAST_SHARE / 2), 1), len(self))
        high = len(self)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._bytes(start, middle) <= room else (low, middle - 1)
        return low


def require_room(need_bytes: float, room_bytes: float, *, where: str, held_bytes: float, limit_bytes: float) -> None:
    """Raise DataError where even the smallest part does not fit below a limit; says what would."""
    if need_bytes > room_bytes:
        enough = (need_bytes + limit_bytes - room_bytes) / 1e6
        raise DataError(
            f"max_memory of {limit_bytes / 1e6:,.0f} MB is not enough: the process holds {held_bytes / 1e6:,.0f} MB"
            f" before anything is computed, and the longest history with its share of the rows takes about"
            f" {need_bytes / 1e6:,.0f} MB more",
            where=where,
            fix=f"give at least {enough * 1.05:,.0f} MB, or ask for fewer features or shorter tables",
            enough_mb=enough,
        )
