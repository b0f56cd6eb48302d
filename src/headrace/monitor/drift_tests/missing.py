"""Difference of the shares of missing rows, by Fisher's exact test; computed for every column besides its own tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.monitor.drift_tests.calibration import share_null_test
from headrace.monitor.drift_tests.protocol import Measure
from headrace.monitor.drift_tests.samples import Kind, Pair


@dataclass(frozen=True)
class MissingShare:
    name: str = "missing"
    kinds: frozenset[Kind] = frozenset({"numeric", "categorical"})
    floor: float = 0.05

    def score(self, pair: Pair) -> float:
        n, m = _rows(pair)
        return abs(pair.missing[0] / n - pair.missing[1] / m)

    def measure(self, pair: Pair, *, seed: int) -> Measure:
        score = self.score(pair)
        null = share_null_test(pair.missing, _rows(pair))
        return Measure(score=score, p_value=null.p_value, effect=float(np.sqrt(max(0.0, score**2 - null.null_mean))))


def _rows(pair: Pair) -> tuple[int, int]:
    n, m = pair.sizes
    return n + pair.missing[0], m + pair.missing[1]


MISSING = MissingShare()
