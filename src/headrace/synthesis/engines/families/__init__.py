"""Families of primitives: how each is computed over windows of entries. One file a family, one line here.

A family is a function (what is asked, which of its names) -> arrays [m], one per query: float64 with NaN for missing,
codes with -1, or instants with NEVER. It is all but linear in entries + queries, and what it says of a query depends on
the entries of that query's key up to its end alone: never on other queries, later entries, or other names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy.typing as npt

from headrace.synthesis.engines.families.categories import categories
from headrace.synthesis.engines.families.days import days
from headrace.synthesis.engines.families.decay import decay
from headrace.synthesis.engines.families.entries import Asked, Entries
from headrace.synthesis.engines.families.extremes import extremes
from headrace.synthesis.engines.families.gaps import gaps
from headrace.synthesis.engines.families.moments import moments
from headrace.synthesis.engines.families.order import beyond, quantiles
from headrace.synthesis.engines.families.positions import positions
from headrace.synthesis.engines.families.steps import steps
from headrace.synthesis.engines.families.trend import trend
from headrace.synthesis.engines.families.truths import truths
from headrace.synthesis.primitives import aggregation
from headrace.synthesis.primitives.aggregation import Aggregation
from headrace.synthesis.primitives.categories import CATEGORIES
from headrace.synthesis.primitives.days import DAYS
from headrace.synthesis.primitives.decay import DECAY
from headrace.synthesis.primitives.extremes import EXTREMES
from headrace.synthesis.primitives.gaps import GAPS
from headrace.synthesis.primitives.moments import MOMENTS
from headrace.synthesis.primitives.order import BEYOND, ORDER
from headrace.synthesis.primitives.positions import POSITIONS
from headrace.synthesis.primitives.steps import STEPS
from headrace.synthesis.primitives.trend import TREND
from headrace.synthesis.primitives.truths import TRUTHS
from headrace.synthesis.values import Ints

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
