"""Time that has passed, and what remains of a decaying value at the tick, in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.synthesis.oracle.observations import DAY, SECOND
from headrace.synthesis.oracle.transforms.rows import Twin, of_known

_HOUR = 3_600 * SECOND


def _since(unit_us: int) -> Twin:
    return lambda inputs, tick_us: None if inputs[0] is None else (tick_us - inputs[0]) / unit_us


def _decay(days: int) -> Twin:
    def twin(inputs: Sequence[Any], tick_us: int) -> float | None:
        value, at = inputs
        if value is None or at is None:  # a sum of nothing has no last instant
            return None if value is None else float(value)
        return float(value * 2.0 ** (-(tick_us - at) / (days * DAY)))

    return twin


ELAPSED: dict[str, Twin] = {
    "time_since": _since(SECOND),
    "hours_since": _since(_HOUR),
    "days_since": _since(DAY),
    "age": _since(365 * DAY),
    "hours_between": of_known(lambda a, b: (a - b) / _HOUR),
    "days_between": of_known(lambda a, b: (a - b) / DAY),
    "same_day": of_known(lambda a, b: a // DAY == b // DAY),
    **{f"decay_{days}d": _decay(days) for days in (1, 7, 30)},
}
