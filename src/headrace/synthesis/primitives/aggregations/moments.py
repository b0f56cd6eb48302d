"""Moments: sums, means, spread and shape of numbers.

With n values x, mean m, and M_k = sum (x - m)^k: variance M_2 / (n - 1), standard deviation its root (both of a
sample, as pandas has them), skewness n sqrt(n - 1) / (n - 2) M_3 / M_2^1.5 (bias-corrected; Joanes and Gill, 1998),
kurtosis n M_4 / M_2^2 - 3 (of the population, Fisher's, as scipy has it).
"""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation

MOMENTS = (
    Aggregation(name="sum", says="their sum", inputs=NUMBER, empty=0.0, tier=3),
    Aggregation(name="mean", says="their mean", inputs=NUMBER, tier=0),
    Aggregation(name="std", says="their sample standard deviation (two or more)", inputs=NUMBER, tier=1),
    Aggregation(name="variance", says="their sample variance (two or more)", inputs=NUMBER),
    Aggregation(name="skew", says="their bias-corrected skewness (three or more)", inputs=NUMBER, tier=3),
    Aggregation(name="kurtosis", says="their excess kurtosis (missing if all are equal)", inputs=NUMBER),
    Aggregation(name="coefficient_of_variation", says="standard deviation / mean", inputs=NUMBER),
    Aggregation(name="root_mean_square", says="the root of the mean of their squares", inputs=NUMBER),
    Aggregation(
        name="last_z_score", says="standard deviations of the last above their mean (0 if all are equal)", inputs=NUMBER
    ),
    Aggregation(name="last_to_mean", says="the last / their mean", inputs=NUMBER),
)
