"""The slope of the least-squares line through values over their instants, per day, in plain Python."""

from __future__ import annotations

from fractions import Fraction

from headrace.synthesis.oracle.observations import DAY, Observations, Twin, instants_of, values_of


def _trend(observations: Observations) -> float | None:
    x = [Fraction(value) for value in values_of(observations)]
    t = [Fraction(at, DAY) for at in instants_of(observations)]
    if len(x) < 3:
        return None
    mean_t, mean_x = sum(t) / len(t), sum(x) / len(x)
    variance = sum((at - mean_t) ** 2 for at in t)
    covariance = sum((at - mean_t) * (value - mean_x) for at, value in zip(t, x, strict=True))
    return float(covariance / variance) if variance else None


TREND: dict[str, Twin] = {"trend": _trend}
