"""Wasserstein distance: how far values have to move on average, in standard deviations of the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.monitor.drift_tests.calibration import bridge
from headrace.monitor.drift_tests.protocol import Measure
from headrace.monitor.drift_tests.samples import Kind, Pair


@dataclass(frozen=True)
class Wasserstein:
    name: str = "wasserstein"
    kinds: frozenset[Kind] = frozenset({"numeric"})
    floor: float = 0.25

    def score(self, pair: Pair) -> float:
        return _distance(pair) / _unit(pair)

    def measure(self, pair: Pair, *, seed: int) -> Measure:
        distance, unit = _distance(pair), _unit(pair)
        if distance == 0:
            return Measure(score=0.0, p_value=1.0, effect=0.0)
        chance = bridge(distance, pair, seed)
        effect = float(np.sqrt(max(0.0, distance**2 - chance.typical)))
        return Measure(score=distance / unit, p_value=chance.p_value, effect=effect / unit)


def _distance(pair: Pair) -> float:
    values, reference, current, _ = pair.distributions
    return float(np.abs(reference - current)[:-1] @ np.diff(values))


def _unit(pair: Pair) -> float:
    """A constant reference has no spread: then the pooled one, and 1 where that has none either."""
    spread = float(pair.reference.std())
    return spread or float(np.concatenate([pair.reference, pair.current]).std()) or 1.0


WASSERSTEIN = Wasserstein()
