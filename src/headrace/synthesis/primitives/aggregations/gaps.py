"""Gaps: the seconds from one row (whose value is not null) to the next."""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import ANY, Aggregation

GAPS = (
    Aggregation(name="mean_time_between", says="the mean gap", inputs=ANY, rows=True),
    Aggregation(name="std_time_between", says="the sample standard deviation of the gaps", inputs=ANY, rows=True),
    Aggregation(name="min_time_between", says="the shortest gap", inputs=ANY, rows=True),
    Aggregation(name="max_time_between", says="the longest gap", inputs=ANY, rows=True),
    Aggregation(name="last_time_between", says="the last gap", inputs=ANY, rows=True),
)
