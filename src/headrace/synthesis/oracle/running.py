"""Running primitives in plain Python: the value of a row, from the rows of its key up to and including it.

Each is a function of observations, the row itself last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.synthesis.oracle.observations import SECOND, Observations, Twin, exact_mean, exact_sum, values_of


def _previous(observations: Observations) -> Any:
    return observations[-2][1] if len(observations) > 1 else None


def _difference(observations: Observations) -> Any:
    before = _previous(observations)
    return None if before is None or observations[-1][1] is None else observations[-1][1] - before


def _time_since_previous(observations: Observations) -> float | None:
    return (observations[-1][0] - observations[-2][0]) / SECOND if len(observations) > 1 else None


def _cumulative(function: Callable[[list[Any]], Any]) -> Twin:
    """A function of the values so far; missing where the row itself has none."""
    return lambda observations: None if observations[-1][1] is None else function(values_of(observations))


RUNNING_TWINS: dict[str, Twin] = {
    "previous": _previous,
    "difference_to_previous": _difference,
    "time_since_previous": _time_since_previous,
    "cum_count": lambda observations: float(len(observations)),
    "cum_sum": _cumulative(lambda values: float(exact_sum(values))),
    "cum_mean": _cumulative(lambda values: float(exact_mean(values))),
    "cum_max": _cumulative(max),
    "cum_min": _cumulative(min),
}
