"""Kolmogorov-Smirnov: the largest distance between the two distribution functions, 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.monitor.drift_tests.calibration import kolmogorov_null_test
from headrace.monitor.drift_tests.protocol import Measure
from headrace.monitor.drift_tests.samples import Kind, Pair


@dataclass(frozen=True)
class KolmogorovSmirnov:
    name: str = "ks"
    kinds: frozenset[Kind] = frozenset({"numeric"})
    floor: float = 0.10

    def score(self, pair: Pair) -> float:
        _, reference, current, _ = pair.distributions
        return float(np.abs(reference - current).max())

    def measure(self, pair: Pair, *, seed: int) -> Measure:
        score = self.score(pair)
        null = kolmogorov_null_test(score, *pair.sizes)
        return Measure(score=score, p_value=null.p_value, effect=float(np.sqrt(max(0.0, score**2 - null.null_mean))))


KS = KolmogorovSmirnov()
