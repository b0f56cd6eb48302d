"""Which primitives of ours each aggregation of featuretools is computed from, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headrace.core.clock import DAY, HOUR, MINUTE, SECOND
from headrace.synthesis.language.values import Floats


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The primitives of ours that one of featuretools' is computed from.

    Attributes:
        ours: their names; "rows" stands for the count of the rows, whatever the column.
        reads: the position of the argument that they aggregate; -1: the rows themselves.
        combine: their values [n] each -> featuretools' [n], NaN for missing; None: the value of the first.
        inside: whether, below another feature where values cannot be combined, the first of ours replaces it.
    """

    ours: tuple[str, ...]
    reads: int = 0
    combine: Callable[..., Floats] | None = None
    inside: bool = False


def _trend(per_day: Floats, first: Floats) -> Floats:
    """featuretools takes the unit from the alignment of the group's first instant."""
    unit = np.full(len(first), float(SECOND))
    for length in (MINUTE, HOUR, DAY):
        unit = np.where(first % length == 0, length, unit)
    return np.asarray(per_day * unit / DAY)


def _zero(value: Floats) -> Floats:
    """0 where there is nothing."""
    return np.nan_to_num(value)


def _of_some(number: Floats, count: Floats) -> Floats:
    """Missing, not 0, where there is no value."""
    return np.where(count > 0, number, np.nan)


def _share(number: Floats, rows: Floats) -> Floats:
    """A share of the rows, those without a value among them; 0 of none."""
    return np.nan_to_num(number) / np.maximum(rows, 1.0)


def _same(*names: str) -> dict[str, Recipe]:
    return {name: Recipe(ours=(name,)) for name in names}


RECIPES: dict[str, Recipe] = {
    **_same("sum", "mean", "std", "variance", "skew", "min", "max", "median", "mode", "num_true"),
    **_same("percent_true", "first", "last", "n_most_common"),
    "count_above_mean": Recipe(ours=("count_above_mean", "count"), combine=_of_some),
    "count_below_mean": Recipe(ours=("count_below_mean", "count"), combine=_of_some),
    "num_true_since_last_false": Recipe(
        ours=("num_true_since_last_false", "num_true", "count"),
        combine=lambda streak, true, count: np.where(count > true, streak, 0.0),
    ),
    "num_false_since_last_true": Recipe(
        ours=("num_false_since_last_true", "num_true"), combine=lambda streak, true: np.where(true > 0, streak, 0.0)
    ),
    "count": Recipe(ours=("count",), reads=-1),
    "num_unique": Recipe(
        ours=("num_unique", "rows"),  # of rows without a value it is 0, of no rows it is missing
        combine=lambda unique, rows: np.where(rows > 0, np.nan_to_num(unique), np.nan),
        inside=True,
    ),
    "kurtosis": Recipe(
        ours=("kurtosis", "count", "rows"),  # one null makes it 0
        combine=lambda value, count, rows: np.where(count == rows, np.nan_to_num(value), 0.0),
    ),
    "percent_unique": Recipe(ours=("num_unique", "rows"), combine=_share),
    "max_min_delta": Recipe(ours=("range",), combine=_zero),
    "max_consecutive_true": Recipe(ours=("longest_true",)),
    "max_consecutive_false": Recipe(ours=("longest_false",)),
    "avg_time_between": Recipe(ours=("mean_time_between",), reads=-1),
    "first_last_time_delta": Recipe(ours=("time_span",), reads=-1, combine=_zero),
    "n_unique_days": Recipe(ours=("num_days",), reads=-1),
    "n_unique_months": Recipe(ours=("num_months",), reads=-1),
    "time_since_first": Recipe(ours=("first_time",), reads=-1),
    "time_since_last": Recipe(ours=("last_time",), reads=-1),
    "time_since_last_true": Recipe(ours=("last_true_time",), reads=1, combine=_zero),
    "time_since_last_false": Recipe(ours=("last_false_time",), reads=1, combine=_zero),
    "time_since_last_max": Recipe(ours=("max_time",), reads=1, combine=_zero),
    "time_since_last_min": Recipe(ours=("min_time",), reads=1, combine=_zero),
    "date_first_event": Recipe(ours=("first_time",), reads=-1),
    "trend": Recipe(ours=("trend", "first_time"), combine=_trend),
}
