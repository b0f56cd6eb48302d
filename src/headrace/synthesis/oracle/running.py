"""Running primitives in plain Python: the value of a row, from the rows of its key up to and including it.

Each is a function of observations, oldest first: [(instant since when a row counts, its value or None), ...], the row
itself last. Exact where it can be (fractions); None is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

Observations = Sequence[tuple[int, Any]]

_SECOND = 1_000_000


def _previous(observations: Observations) -> Any:
    return observations[-2][1] if len(observations) > 1 else None


def _difference(observations: Observations) -> Any:
    before = _previous(observations)
    return None if before is None or observations[-1][1] is None else observations[-1][1] - before


def _time_since_previous(observations: Observations) -> float | None:
    return (observations[-1][0] - observations[-2][0]) / _SECOND if len(observations) > 1 else None


def _cumulative(function: Callable[[list[Any]], Any]) -> Callable[[Observations], Any]:
    """A function of the values so far; missing where the row itself has none."""

    def compute(observations: Observations) -> Any:
        if observations[-1][1] is None:
            return None
        return function([value for _, value in observations if value is not None])

    return compute


def _sum(values: list[Any]) -> Fraction:
    return sum(map(Fraction, values), Fraction(0))


RUNNING_TWINS: dict[str, Callable[[Observations], Any]] = {
    "previous": _previous,
    "difference_to_previous": _difference,
    "time_since_previous": _time_since_previous,
    "cum_count": lambda observations: float(len(observations)),
    "cum_sum": _cumulative(lambda values: float(_sum(values))),
    "cum_mean": _cumulative(lambda values: float(_sum(values) / len(values))),
    "cum_max": _cumulative(max),
    "cum_min": _cumulative(min),
}
