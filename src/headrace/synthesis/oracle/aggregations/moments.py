"""Spread and shape of numbers in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from headrace.synthesis.oracle.observations import (
    Twin,
    central_moment,
    exact_mean,
    of_values,
    standard_deviation,
)


def _skew(values: Sequence[float]) -> float:
    n = len(values)
    square = central_moment(values, 2)
    if square == 0:
        return 0.0
    # m3 / m2^1.5 with its square taken exactly, so that nothing overflows or underflows on the way.
    cube = central_moment(values, 3)
    size = math.sqrt(cube * cube / square**3)
    return math.copysign(n * math.sqrt(n - 1) / (n - 2) * size, cube)


def _kurtosis(values: Sequence[float]) -> float | None:
    square = central_moment(values, 2)
    return float(len(values) * central_moment(values, 4) / square**2) - 3 if square else None


def _variation(values: Sequence[float]) -> float | None:
    deviation, mean = standard_deviation(values), exact_mean(values)
    return float(Fraction(deviation) / mean) if deviation is not None and mean else None


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(exact_mean([Fraction(value) ** 2 for value in values]))


def _last_z_score(values: Sequence[float]) -> float | None:
    deviation = standard_deviation(values)
    if deviation is None:
        return None
    return float((Fraction(values[-1]) - exact_mean(values)) / Fraction(deviation)) if deviation else 0.0


def _last_to_mean(values: Sequence[float]) -> float | None:
    mean = exact_mean(values)
    return float(Fraction(values[-1]) / mean) if mean else None


MOMENTS: dict[str, Twin] = {
    "std": of_values(standard_deviation),
    "variance": of_values(lambda x: float(central_moment(x, 2) / (len(x) - 1)), 2),
    "skew": of_values(_skew, 3),
    "kurtosis": of_values(_kurtosis, 1),
    "coefficient_of_variation": of_values(_variation, 1),
    "root_mean_square": of_values(_root_mean_square, 1),
    "last_z_score": of_values(_last_z_score, 1),
    "last_to_mean": of_values(_last_to_mean, 1),
}
