"""Observations: what a twin of an aggregation reads, and what many twins have in common.

Observations are the rows that count, oldest first: [(instant in us that a row counts from, its value or None), ...].
Sums are exact (fractions); None is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

Observations = Sequence[tuple[int, Any]]
Twin = Callable[[Observations], Any]

SECOND, DAY = 1_000_000, 86_400_000_000


def values_of(observations: Observations) -> list[Any]:
    """The values that are not missing."""
    return [value for _, value in observations if value is not None]


def instants_of(observations: Observations) -> list[int]:
    """The instants of the values that are not missing."""
    return [at for at, value in observations if value is not None]


def of_values(function: Callable[[list[Any]], Any], least: int = 0) -> Twin:
    """A function of the values that are not missing; None where there are fewer than `least`."""

    def twin(observations: Observations) -> Any:
        values = values_of(observations)
        return function(values) if len(values) >= least else None

    return twin


def exact_sum(values: Sequence[Any]) -> Fraction:
    """The sum without rounding."""
    return sum(map(Fraction, values), Fraction(0))


def exact_mean(values: Sequence[Any]) -> Fraction:
    """The mean without rounding."""
    return exact_sum(values) / len(values)


def central_moment(values: Sequence[Any], power: int) -> Fraction:
    """sum (x - mean)^power without rounding."""
    mean = exact_mean(values)
    return sum(((Fraction(value) - mean) ** power for value in values), Fraction(0))


def standard_deviation(values: Sequence[Any]) -> float | None:
    """Of a sample; None of fewer than two values."""
    return math.sqrt(central_moment(values, 2) / (len(values) - 1)) if len(values) > 1 else None
