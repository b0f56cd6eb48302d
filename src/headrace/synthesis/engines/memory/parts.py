"""Split the queries of one entity into parts that fit into memory, each with the history of its own keys only.

A value depends on its own key's history and its own tick, so parts may be computed one after the other, in any sizes.
Queries are ordered by (key, tick), and a part is a run of them: it needs the rows of the keys in it, and no others. A
key with many queries may be in several parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from headrace.synthesis.engines.memory.estimate import MemoryEstimate
from headrace.synthesis.language.values import Ints

#: A part has at least this share of the queries, or the limit is refused: every part passes over the tables.
_SMALLEST_SHARE = 1 / 40


class QueryParts:
    """The queries of one entity, split into parts.

    Args:
        estimate: bytes that they take.
        key: code of each query's key [queries], -1 for null.
        ticks: in us [queries].
    """

    def __init__(self, estimate: MemoryEstimate, key: Ints, ticks: Ints) -> None:
        self.estimate = estimate
        self._order = np.lexsort((ticks, key))
        self._key = key[self._order].astype(np.int32)
        #: Bytes of history before each key; the first is null, which has none.
        self._history_before = np.concatenate([[0.0, 0.0], np.cumsum(estimate.history)])

    def __len__(self) -> int:
        return len(self._order)

    @property
    def smallest_bytes(self) -> float:
        """Bytes of the largest among the smallest parts: a limit must leave room for these."""
        few = int(np.ceil(len(self) * _SMALLEST_SHARE))
        starts = np.arange(0, len(self), max(few, 1))
        sizes = (self._bytes(int(at), min(int(at) + few, len(self))) for at in starts)
        return max(sizes, default=self.estimate.tables)

    def split(self, part_bytes: Callable[[], float]) -> Iterator[tuple[Ints, float]]:
        """Query numbers (ascending) of one part after the other, and the bytes that it is estimated to take.

        Args:
            part_bytes: bytes that the next part may take; called before each.
        """
        at = 0
        while at < len(self):
            stop = self._stop(at, part_bytes())
            yield np.sort(self._order[at:stop]), self._bytes(at, stop)
            at = stop

    def _bytes(self, start: int, stop: int) -> float:
        first, last = self._key[start] + 1, self._key[stop - 1] + 1
        return self.estimate.part_bytes(
            stop - start, float(self._history_before[last + 1] - self._history_before[first])
        )

    def _stop(self, start: int, part_bytes: float) -> int:
        """The end of the longest part from `start` on that fits; not shorter than the smallest share."""
        low = min(start + max(int(len(self) * _SMALLEST_SHARE / 2), 1), len(self))
        high = len(self)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._bytes(start, middle) <= part_bytes else (low, middle - 1)
        return low
