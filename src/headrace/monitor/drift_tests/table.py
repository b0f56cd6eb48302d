"""What the tests on counts share: cells, smoothing, and the law of shuffled tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headrace.monitor.drift_tests.calibration import table_null_test
from headrace.monitor.drift_tests.protocol import Measure
from headrace.monitor.drift_tests.samples import Counts, Floats, Kind, Pair


@dataclass(frozen=True)
class TableTest:
    """statistic: additive, of C [..., 2, K] -> [...]; scale as `calibration.table` says.

    root: the score is the root of the statistic.
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
    """Shares of the reference and of the current sample [..., K], half a row added to each cell: no share is 0."""
    padded = counts + 0.5
    shares = padded / padded.sum(axis=-1, keepdims=True)
    return shares[..., 0, :], shares[..., 1, :]
