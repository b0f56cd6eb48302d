"""Remember the transforms of a request's times: their instants recur, as departures of one timetable do.

Such a transform depends on the instants of the request and on the tick alone, so its value is computed once for each.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.serving.transform_steps import Columns, Layout, TransformStep

#: Instants in memory; beyond it they are forgotten.
MAX_KNOWN = 8192


class KnownTimes:
    """Computes the transforms whose inputs are times of the request. Thread-safe.

    Args:
        steps: The transforms, in order.
        layout: Positions of all values.
        first: Position of the request's first instant.

    Attributes:
        outputs: Positions of their results [k].
    """

    def __init__(self, steps: Sequence[TransformStep], layout: Layout, first: int) -> None:
        self.outputs = np.concatenate([step.outputs for step in steps])
        self._steps = steps
        self._n_numbers = layout.n_numbers
        self._first = first
        self._local = threading.local()

    def of(self, instants: NDArray[np.int64], tick_us: int) -> NDArray[np.float64]:
        """Return the results [n, k]. instants: microseconds UTC, those of the request after the stored ones [n, i]."""
        known: dict[bytes, NDArray[np.float64]] = getattr(self._local, "known", {})
        if getattr(self._local, "tick_us", None) != tick_us or len(known) > MAX_KNOWN:
            known = {}
        self._local.known, self._local.tick_us = known, tick_us
        keys = [row.tobytes() for row in instants[:, self._first :]]
        absent = {key: at for at, key in enumerate(keys) if key not in known}
        if absent:
            rows = instants.take(list(absent.values()), axis=0)
            columns = Columns(numbers=np.empty((len(rows), self._n_numbers)), instants=rows, texts=[])
            for step in self._steps:
                step.apply(columns, tick_us)
            known.update(zip(absent, columns.numbers.take(self.outputs, axis=1), strict=True))
        if len(keys) == 1:
            return known[keys[0]].reshape(1, -1)
        return np.stack([known[key] for key in keys])
