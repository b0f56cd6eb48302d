"""Quantiles, and counts beyond a threshold computed from the values, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from headrace.synthesis.oracle.observations import Twin, exact_mean, of_values, standard_deviation


def _quantile(quantile: float) -> Callable[[list[float]], float]:
    def of(values: list[float]) -> float:
        ordered = sorted(values)
        at = (len(ordered) - 1) * quantile
        low = math.floor(at)
        high = min(low + 1, len(ordered) - 1)
        return float(Fraction(ordered[low]) + (Fraction(ordered[high]) - Fraction(ordered[low])) * Fraction(at - low))

    return of


def _mean(values: list[float]) -> float:
    return float(exact_mean(values))


def _outside(deviations: float) -> Callable[[list[float]], float]:
    def of(values: list[float]) -> float:
        deviation = standard_deviation(values)
        if deviation is None:
            return 0.0
        low, high = _mean(values) - deviations * deviation, _mean(values) + deviations * deviation
        return float(sum(value < low or value > high for value in values))

    return of


ORDER: dict[str, Twin] = {
    "median": of_values(_quantile(0.5), 1),
    "quantile_5": of_values(_quantile(0.05), 1),
    "quantile_10": of_values(_quantile(0.1), 1),
    "quantile_25": of_values(_quantile(0.25), 1),
    "quantile_75": of_values(_quantile(0.75), 1),
    "quantile_90": of_values(_quantile(0.9), 1),
    "quantile_95": of_values(_quantile(0.95), 1),
    "interquartile_range": of_values(lambda x: _quantile(0.75)(x) - _quantile(0.25)(x), 1),
    "count_above_mean": of_values(lambda x: float(sum(value > _mean(x) for value in x))),
    "count_below_mean": of_values(lambda x: float(sum(value < _mean(x) for value in x))),
    "count_outside_1_std": of_values(_outside(1.0)),
    "count_outside_2_std": of_values(_outside(2.0)),
    "count_outside_3_std": of_values(_outside(3.0)),
    "last_rank": of_values(lambda x: sum(value < x[-1] for value in x) / (len(x) - 1), 2),
}
