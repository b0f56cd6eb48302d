"""Truths: counts, shares and streaks of true and false. Streaks step over nulls."""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import TRUTH, Aggregation

TRUTHS = (
    Aggregation(
        name="percent_true",
        says="the share of true, nulls counted as false",
        inputs=TRUTH,
        reads="assertions",
        cost=0.3,
        tier=0,
    ),
    Aggregation(name="num_true", says="how many are true", inputs=TRUTH, empty=0.0),
    Aggregation(name="any", says="whether one is true", inputs=TRUTH, result="boolean"),
    Aggregation(name="all", says="whether none is false", inputs=TRUTH, result="boolean"),
    Aggregation(name="longest_true", says="the longest streak of true", inputs=TRUTH, empty=0.0),
    Aggregation(name="longest_false", says="the longest streak of false", inputs=TRUTH, empty=0.0),
    Aggregation(
        name="num_true_since_last_false", says="the streak of true that ends at the last", inputs=TRUTH, empty=0.0
    ),
    Aggregation(
        name="num_false_since_last_true", says="the streak of false that ends at the last", inputs=TRUTH, empty=0.0
    ),
    Aggregation(name="last_true_time", says="when one was last true", inputs=TRUTH, result="time", finish="time_since"),
    Aggregation(
        name="last_false_time", says="when one was last false", inputs=TRUTH, result="time", finish="time_since"
    ),
)
