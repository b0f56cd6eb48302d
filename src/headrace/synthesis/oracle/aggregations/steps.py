"""How values go from one to the next, in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from headrace.synthesis.oracle.observations import Twin, of_values


def _count_steps(condition: Callable[[Any, Any], bool]) -> Twin:
    return of_values(lambda x: float(sum(condition(before, after) for before, after in pairwise(x))))


def _count_values(condition: Callable[[Any], bool]) -> Twin:
    return of_values(lambda x: float(sum(map(condition, x))))


def _peaks(values: list[float]) -> float:
    return float(sum(a < b > c for a, b, c in zip(values, values[1:], values[2:], strict=False)))


def _mean_absolute_change(values: list[float]) -> float:
    return float(sum(abs(Fraction(b) - Fraction(a)) for a, b in pairwise(values)) / (len(values) - 1))


STEPS: dict[str, Twin] = {
    "mean_absolute_change": of_values(_mean_absolute_change, 2),
    "num_increases": _count_steps(lambda before, after: after > before),
    "num_decreases": _count_steps(lambda before, after: after < before),
    "num_zero_crossings": _count_steps(lambda before, after: before < 0 < after or after < 0 < before),
    "num_peaks": of_values(_peaks),
    "num_positive": _count_values(lambda value: value > 0),
    "num_negative": _count_values(lambda value: value < 0),
    "num_zero": _count_values(lambda value: value == 0),
    "num_switches": _count_steps(lambda before, after: before != after),
}
