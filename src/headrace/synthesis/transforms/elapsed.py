"""Elapsed time: between instants, from an anchor to the tick, and the decay of a value until the tick."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.core.clock import DAY, HOUR, NEVER, SECOND, parse_duration
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.transforms.transform import TIMES, TransformPrimitive, of_instants

#: Half lives in microseconds, by their spelling.
HALF_LIVES = {text: parse_duration(text) for text in ("1d", "7d", "30d")}


def _decay(life: str) -> TransformPrimitive:
    def compute(inputs: list[Any], ticks_us: Ints) -> Floats:
        values, at = inputs
        age = (ticks_us - np.where(at == NEVER, ticks_us, at)) / HALF_LIVES[life]  # of nothing, 0 remains
        return np.asarray(values * np.exp2(-age), dtype=np.float64)

    return TransformPrimitive(
        name=f"decay_{life}",
        description=f"what is left at the tick of a, as of b, with a half life of {life}",
        inputs=(("numeric", "time"),),
        compute=compute,
        uses_tick=True,
    )


ELAPSED = (
    of_instants("time_since", "seconds from a to the tick", lambda at, tick: (tick - at) / SECOND, at_tick=True),
    of_instants("hours_since", "hours from a to the tick", lambda at, tick: (tick - at) / HOUR, at_tick=True),
    of_instants("days_since", "days from a to the tick", lambda at, tick: (tick - at) / DAY, at_tick=True),
    of_instants(
        "age", "years of 365 days from a to the tick", lambda at, tick: (tick - at) / (365 * DAY), at_tick=True
    ),
    of_instants("hours_between", "hours from b to a", lambda a, b: (a - b) / HOUR, (TIMES,)),
    of_instants("days_between", "days from b to a", lambda a, b: (a - b) / DAY, (TIMES,)),
    of_instants(
        "same_day", "whether a and b are on one day", lambda a, b: a // DAY == b // DAY, (TIMES,), result="boolean"
    ),
    *(_decay(life) for life in HALF_LIVES),
)
