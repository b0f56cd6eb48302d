"""Drift tests that are statistics of a table of counts (PSI, KL, JS): cells, smoothing, null distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headrace.monitor.drift_tests.calibration import table_null_test
from headrace.monitor.drift_tests.protocol import Measure
from headrace.monitor.drift_tests.samples import Counts, Floats, Kind, Pair


@dataclass(frozen=True)
class TableTest:
    """A drift test computed from counts by cell.

    Attributes:
        name: Name in the catalogue.
        floor: Smallest effect that matters.
        statistic: [..., 2, K] -> [...].
        scale: See `calibration.table_null_test`.
        root: Whether the score is the square root of the statistic.
        kinds: Kinds of columns that it takes.
    """

    name: str
    floor: float
    statistic: Callable[[Counts], Floats]
    scale: float
    root: bool = False
    kinds: frozenset[Kind] = frozenset({"numeric", "categorical"})

    def score(self, pair: Pair) -> float:
        return self._scaled(float(self.statistic(pair.counts)))

    def measure(self, pair: Pair, *, seed: int) -> Measure:
        value = float(self.statistic(pair.counts))
        null = table_null_test(self.name, pair.counts, self.statistic, self.scale, seed)
        effect = max(0.0, value - null.null_mean)
        return Measure(score=self._scaled(value), p_value=null.p_value, effect=self._scaled(effect))

    def _scaled(self, value: float) -> float:
        return float(np.sqrt(max(0.0, value))) if self.root else value


def smoothed(counts: Counts) -> tuple[Floats, Floats]:
    """Return the shares of both samples [..., K] with half a row added to each cell, so that no share is 0."""
    padded = counts + 0.5
    shares = padded / padded.sum(axis=-1, keepdims=True)
    return shares[..., 0, :], shares[..., 1, :]
