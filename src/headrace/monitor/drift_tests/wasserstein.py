"""Wasserstein-1 distance (earth mover's) of the two samples, in standard deviations of the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.monitor.drift_tests.calibration import bridge_null_test
from headrace.monitor.drift_tests.protocol import Measure
from headrace.monitor.drift_tests.samples import Kind, Pair


@dataclass(frozen=True)
class Wasserstein:
    name: str = "wasserstein"
    kinds: frozenset[Kind] = frozenset({"numeric"})
    floor: float = 0.25

    def score(self, pair: Pair) -> float:
        return _distance(pair) / _scale(pair)

    def measure(self, pair: Pair, *, seed: int) -> Measure:
        distance, scale = _distance(pair), _scale(pair)
        if distance == 0:
            return Measure(score=0.0, p_value=1.0, effect=0.0)
        null = bridge_null_test(distance, pair, seed)
        effect = float(np.sqrt(max(0.0, distance**2 - null.null_mean)))
        return Measure(score=distance / scale, p_value=null.p_value, effect=effect / scale)


def _distance(pair: Pair) -> float:
    values, reference, current, _ = pair.distributions
    # A sum, not a dot product: BLAS starts threads for it, which costs more than the product on a busy machine.
    return float((np.abs(reference - current)[:-1] * np.diff(values)).sum())


def _scale(pair: Pair) -> float:
    """Standard deviation of the reference; where it is 0, of the pooled rows; where that is 0, 1."""
    deviation = float(pair.reference.std())
    return deviation or float(np.concatenate([pair.reference, pair.current]).std()) or 1.0


WASSERSTEIN = Wasserstein()
