"""How many, the first and the last, when they were, and what lies between them, in plain Python."""

from __future__ import annotations

from headrace.synthesis.oracle.observations import SECOND, Observations, Twin, instants_of, of_values


def _time_span(observations: Observations) -> float | None:
    instants = instants_of(observations)
    return (max(instants) - min(instants)) / SECOND if instants else None


POSITIONS: dict[str, Twin] = {
    "count": of_values(lambda x: float(len(x))),
    "first": lambda observations: observations[0][1] if observations else None,
    "last": lambda observations: observations[-1][1] if observations else None,
    "first_time": lambda observations: min(instants_of(observations), default=None),
    "last_time": lambda observations: max(instants_of(observations), default=None),
    "time_span": _time_span,
    "change": of_values(lambda x: x[-1] - x[0], 1),
    "last_change": of_values(lambda x: x[-1] - x[-2], 2),
}
