"""Categories: how many there are, which are frequent, and how evenly they are spread.

Entropy (Shannon, 1948) is - sum p log p over the shares p of the categories, in nats. Of equally frequent categories
the one first by name counts as the more frequent.
"""

from __future__ import annotations

from headrace.synthesis.primitives.aggregation import CATEGORY, Aggregation

#: How many categories `n_most_common` gives.
MOST_COMMON = 3

CATEGORIES = (
    Aggregation(name="num_unique", says="how many different there are", inputs=CATEGORY, cost=1.5, tier=2),
    Aggregation(name="percent_unique", says="different ones / all", inputs=CATEGORY),
    Aggregation(name="mean_count_per_unique", says="all / different ones", inputs=CATEGORY),
    Aggregation(name="mode", says="the most frequent", inputs=CATEGORY, result="categorical", cost=2.0, tier=2),
    Aggregation(
        name="n_most_common",
        says=f"the {MOST_COMMON} most frequent, one an output",
        inputs=CATEGORY,
        result="categorical",
        outputs=MOST_COMMON,
    ),
    Aggregation(name="max_count", says="how often the most frequent occurs", inputs=CATEGORY, empty=0.0),
    Aggregation(name="percent_most_common", says="the share of the most frequent", inputs=CATEGORY),
    Aggregation(name="percent_last", says="the share of the last", inputs=CATEGORY),
    Aggregation(name="entropy", says="their entropy", inputs=CATEGORY),
)
