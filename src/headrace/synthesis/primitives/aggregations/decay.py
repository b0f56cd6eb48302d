"""Exponential decay: a value weighs 2^(-age / half life), its age taken at the last of the values.

The mean does not change as time goes by. Counts and sums do: they are stored as of the last value, and `decay_1d` and
its like bring them to the tick at read.
"""

from __future__ import annotations

from headrace.core.clock import format_duration, parse_duration
from headrace.synthesis.primitives.aggregation import ANY, NUMBER, Aggregation

#: Half lives in microseconds, by their spelling.
HALF_LIVES = {text: parse_duration(text) for text in ("1d", "7d", "30d")}

DECAY = tuple(
    aggregation
    for life in map(format_duration, HALF_LIVES.values())
    for aggregation in (
        Aggregation(name=f"decayed_mean_{life}", says=f"their mean, weighed with a half life of {life}", inputs=NUMBER),
        Aggregation(
            name=f"decayed_sum_{life}",
            says=f"their sum, weighed with a half life of {life}",
            inputs=NUMBER,
            empty=0.0,
            finish=f"decay_{life}",
        ),
        Aggregation(
            name=f"decayed_count_{life}",
            says=f"how many, weighed with a half life of {life}",
            inputs=ANY,
            empty=0.0,
            rows=True,
            finish=f"decay_{life}",
        ),
    )
)
