"""Positions: how many, the first, the last, when they were, and what lies between them."""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import ANY, NUMBER, Aggregation

POSITIONS = (
    Aggregation(name="count", says="how many are not null", inputs=ANY, empty=0.0, rows=True, cost=0.2, tier=0),
    Aggregation(name="first", says="the first, even if null", inputs=ANY, result=None, reads="assertions"),
    Aggregation(
        name="last", says="the last, even if null", inputs=ANY, result=None, reads="assertions", cost=0.2, tier=0
    ),
    Aggregation(
        name="first_time", says="when the first was seen", inputs=ANY, result="time", rows=True, finish="time_since"
    ),
    Aggregation(
        name="last_time",
        says="when the last was seen",
        inputs=ANY,
        result="time",
        rows=True,
        finish="time_since",
        cost=0.2,
        tier=0,
    ),
    Aggregation(name="time_span", says="seconds from the first to the last", inputs=ANY, rows=True),
    Aggregation(name="change", says="the last - the first", inputs=NUMBER),
    Aggregation(name="last_change", says="the last - the one before it", inputs=NUMBER),
)
