"""Extremes: the smallest and the largest number, how far apart they are, and when they were last reached."""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation

EXTREMES = (
    Aggregation(name="min", says="the smallest", inputs=NUMBER, cost=0.8, tier=2),
    Aggregation(name="max", says="the largest", inputs=NUMBER, cost=0.8, tier=1),
    Aggregation(name="range", says="the largest - the smallest", inputs=NUMBER),
    Aggregation(
        name="min_time", says="when the smallest was last seen", inputs=NUMBER, result="time", finish="time_since"
    ),
    Aggregation(
        name="max_time", says="when the largest was last seen", inputs=NUMBER, result="time", finish="time_since"
    ),
)
