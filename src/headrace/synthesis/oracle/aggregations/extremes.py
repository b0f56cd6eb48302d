"""The smallest and the largest number, and when they were last reached, in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.synthesis.oracle.observations import Observations, Twin, of_values, values_of


def _last_reached(pick: Callable[[list[Any]], Any]) -> Twin:
    def twin(observations: Observations) -> int | None:
        values = values_of(observations)
        return max(at for at, value in observations if value == pick(values)) if values else None

    return twin


EXTREMES: dict[str, Twin] = {
    "min": of_values(min, 1),
    "max": of_values(max, 1),
    "range": of_values(lambda x: max(x) - min(x), 1),
    "min_time": _last_reached(min),
    "max_time": _last_reached(max),
}
