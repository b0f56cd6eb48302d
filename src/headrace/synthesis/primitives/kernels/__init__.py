"""Families of primitives: how each is computed over windows of entries. One file a family, one line here.

A family is a function (what is asked, which of its names) -> arrays [m], one per query: float64 with NaN for missing,
codes with -1, or instants with NEVER. It is all but linear in entries + queries, and what it says of a query depends on
the entries of that query's key up to its end alone: never on other queries, later entries, or other names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy.typing as npt

from headrace.synthesis.language.values import Ints
from headrace.synthesis.primitives import aggregation
from headrace.synthesis.primitives.aggregation import Aggregation
from headrace.synthesis.primitives.aggregations.categories import CATEGORIES
from headrace.synthesis.primitives.aggregations.days import DAYS
from headrace.synthesis.primitives.aggregations.decay import DECAY
from headrace.synthesis.primitives.aggregations.extremes import EXTREMES
from headrace.synthesis.primitives.aggregations.gaps import GAPS
from headrace.synthesis.primitives.aggregations.moments import MOMENTS
from headrace.synthesis.primitives.aggregations.order import BEYOND, ORDER
from headrace.synthesis.primitives.aggregations.positions import POSITIONS
from headrace.synthesis.primitives.aggregations.steps import STEPS
from headrace.synthesis.primitives.aggregations.trend import TREND
from headrace.synthesis.primitives.aggregations.truths import TRUTHS
from headrace.synthesis.primitives.entries import Asked, Entries
from headrace.synthesis.primitives.kernels.categories import categories
from headrace.synthesis.primitives.kernels.days import days
from headrace.synthesis.primitives.kernels.decay import decay
from headrace.synthesis.primitives.kernels.extremes import extremes
from headrace.synthesis.primitives.kernels.gaps import gaps
from headrace.synthesis.primitives.kernels.moments import moments
from headrace.synthesis.primitives.kernels.order import beyond, quantiles
from headrace.synthesis.primitives.kernels.positions import positions
from headrace.synthesis.primitives.kernels.steps import steps
from headrace.synthesis.primitives.kernels.trend import trend
from headrace.synthesis.primitives.kernels.truths import truths

Family = Callable[[Asked, frozenset[str]], dict[str, Any]]

_MEMBERS: tuple[tuple[Family, tuple[Aggregation, ...]], ...] = (
    (moments, MOMENTS),
    (extremes, EXTREMES),
    (positions, POSITIONS),
    (quantiles, ORDER),
    (beyond, BEYOND),
    (categories, CATEGORIES),
    (truths, TRUTHS),
    (gaps, GAPS),
    (steps, STEPS),
    (days, DAYS),
    (decay, DECAY),
    (trend, TREND),
)
#: Which family computes a primitive.
FAMILIES: dict[str, Family] = {primitive.name: family for family, own in _MEMBERS for primitive in own}


def answers(
    entries: Entries, lo: Ints, hi: Ints, names: Iterable[str], mid: Ints | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Each primitive over entries lo <= i < hi: [m], or [m, outputs] where it has several. mid: see `Asked`."""
    asked = Asked(entries=entries, lo=lo, hi=hi, mid=mid)
    wanted: dict[Family, list[str]] = {}
    for name in names:
        wanted.setdefault(FAMILIES[name], []).append(name)
    result = {name: array for family, own in wanted.items() for name, array in family(asked, frozenset(own)).items()}
    for name, array in result.items():
        empty = aggregation(name).empty
        if empty is not None:
            array[asked.high <= asked.low] = empty
    return result


__all__ = ["FAMILIES", "Asked", "Entries", "answers"]
