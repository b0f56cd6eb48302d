"""Trend: the slope of the least-squares line through values over their instants, per day.

featuretools takes the unit from how the group's first instant is rounded; here it is a day, always.
"""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation

TREND = (
    Aggregation(
        name="trend",
        says="the slope of their line of least squares, per day (three or more)",
        inputs=NUMBER,
    ),
)
