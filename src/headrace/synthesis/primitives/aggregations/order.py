"""Order statistics: quantiles, and how many lie beyond a bar that the values themselves set.

A quantile q of n sorted values is read at (n - 1) q, linearly between neighbours (Hyndman and Fan, 1996, type 7).
"""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import NUMBER, Aggregation

#: Primitive -> quantile.
QUANTILES = {
    "median": 0.5,
    "quantile_5": 0.05,
    "quantile_10": 0.1,
    "quantile_25": 0.25,
    "quantile_75": 0.75,
    "quantile_90": 0.9,
    "quantile_95": 0.95,
}
#: Primitive -> standard deviations.
OUTSIDE = {"count_outside_1_std": 1.0, "count_outside_2_std": 2.0, "count_outside_3_std": 3.0}

ORDER = (
    *(
        Aggregation(
            name=name, says="their median" if name == "median" else f"their {quantile:g} quantile", inputs=NUMBER
        )
        for name, quantile in QUANTILES.items()
    ),
    Aggregation(name="interquartile_range", says="their .75 quantile - their .25 quantile", inputs=NUMBER),
)

BEYOND = (
    Aggregation(name="count_above_mean", says="how many are above their mean", inputs=NUMBER, empty=0.0),
    Aggregation(name="count_below_mean", says="how many are below their mean", inputs=NUMBER, empty=0.0),
    *(
        Aggregation(
            name=name,
            says=f"how many are more than {bar:g} standard deviations from their mean",
            inputs=NUMBER,
            empty=0.0,
        )
        for name, bar in OUTSIDE.items()
    ),
    Aggregation(name="last_rank", says="the share of the others that are smaller than the last", inputs=NUMBER),
)
