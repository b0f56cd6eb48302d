"""Exponential decay in plain Python: a value weighs 2^(-age / half life), its age taken at the last of the values."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

from headrace.synthesis.oracle.observations import DAY, Observations, Twin, instants_of


def _weights(observations: Observations, life_us: int) -> list[tuple[float, float]]:
    last = max(instants_of(observations), default=0)
    return [(2.0 ** -((last - at) / life_us), value) for at, value in observations if value is not None]


def _mean(observations: Observations, life_us: int) -> float | None:
    pairs = _weights(observations, life_us)
    if not pairs:
        return None
    total = sum(Fraction(weight) * Fraction(value) for weight, value in pairs)
    return float(total / sum(Fraction(weight) for weight, _ in pairs))


def _sum(observations: Observations, life_us: int) -> float:
    pairs = _weights(observations, life_us)
    return float(sum((Fraction(weight) * Fraction(value) for weight, value in pairs), Fraction(0)))


def _count(observations: Observations, life_us: int) -> float:
    return math.fsum(weight for weight, _ in _weights(observations, life_us))


DECAY: dict[str, Twin] = {
    f"decayed_{name}_{days}d": partial(function, life_us=days * DAY)
    for days in (1, 7, 30)
    for name, function in (("mean", _mean), ("sum", _sum), ("count", _count))
}
