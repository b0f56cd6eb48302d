"""The last rows in plain Python: earlier ones by their place from the end, and aggregations of the last few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.synthesis.oracle.observations import (
    Observations,
    Twin,
    exact_mean,
    instants_of,
    standard_deviation,
    values_of,
)


def _from_the_end(place: int) -> Twin:
    return lambda observations: observations[-place][1] if len(observations) >= place else None


def _time_from_the_end(place: int) -> Twin:
    def twin(observations: Observations) -> int | None:
        instants = instants_of(observations)
        return instants[-place] if len(instants) >= place else None

    return twin


def _of_last(rows: int, function: Callable[[list[Any]], Any]) -> Twin:
    def twin(observations: Observations) -> float | None:
        values = values_of(observations)[-rows:]
        value = function(values) if values else None
        return None if value is None else float(value)

    return twin


RECENT: dict[str, Twin] = {
    **{f"last_{place}": _from_the_end(place) for place in (2, 3)},
    **{f"last_{place}_time": _time_from_the_end(place) for place in (2, 3)},
    **{f"mean_of_last_{rows}": _of_last(rows, exact_mean) for rows in (3, 10)},
    **{f"std_of_last_{rows}": _of_last(rows, standard_deviation) for rows in (3, 10)},
    **{f"min_of_last_{rows}": _of_last(rows, min) for rows in (3, 10)},
    **{f"max_of_last_{rows}": _of_last(rows, max) for rows in (3, 10)},
}
