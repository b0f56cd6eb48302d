"""Steps: how values go from one to the next. Nulls are stepped over."""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation

STEPS = (
    Aggregation(name="mean_absolute_change", says="the mean size of a step", inputs=NUMBER),
    Aggregation(name="num_increases", says="how many steps go up", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_decreases", says="how many steps go down", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_zero_crossings", says="how many steps change the sign", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_peaks", says="how many are above both neighbours", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_positive", says="how many are above 0", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_negative", says="how many are below 0", inputs=NUMBER, empty=0.0),
    Aggregation(name="num_zero", says="how many are 0", inputs=NUMBER, empty=0.0),
    Aggregation(
        name="num_switches",
        says="how many differ from the one before",
        inputs=("numeric", "categorical", "boolean"),
        empty=0.0,
    ),
)
