"""Days: on how many of them something was seen (in UTC), and which share of it when."""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import ANY, Aggregation

DAYS = (
    Aggregation(name="num_days", says="on how many days one was seen", inputs=ANY, empty=0.0, rows=True),
    Aggregation(name="num_weeks", says="in how many weeks one was seen", inputs=ANY, empty=0.0, rows=True),
    Aggregation(name="num_months", says="in how many calendar months one was seen", inputs=ANY, empty=0.0, rows=True),
    Aggregation(name="percent_weekend", says="the share seen on a weekend", inputs=ANY, rows=True),
    Aggregation(name="percent_night", says="the share seen from 22 to 6 o'clock", inputs=ANY, rows=True),
)
