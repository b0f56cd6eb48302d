"""The seconds from one row to the next, in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from headrace.synthesis.oracle.observations import (
    SECOND,
    Observations,
    Twin,
    exact_mean,
    instants_of,
    standard_deviation,
)


def _of_gaps(function: Callable[[list[Fraction]], Any]) -> Twin:
    def twin(observations: Observations) -> float | None:
        gaps = [Fraction(later - earlier, SECOND) for earlier, later in pairwise(instants_of(observations))]
        value = function(gaps) if gaps else None
        return None if value is None else float(value)

    return twin


GAPS: dict[str, Twin] = {
    "mean_time_between": _of_gaps(exact_mean),
    "std_time_between": _of_gaps(standard_deviation),
    "min_time_between": _of_gaps(min),
    "max_time_between": _of_gaps(max),
    "last_time_between": _of_gaps(lambda gaps: gaps[-1]),
}
