"""How many categories, which are frequent, and how evenly they are spread, in plain Python."""

from __future__ import annotations

import math

from headrace.synthesis.oracle.observations import Twin, of_values


def _by_frequency(values: list[str]) -> list[str]:
    return sorted(set(values), key=lambda value: (-values.count(value), value))


def _n_most_common(values: list[str]) -> list[str | None]:
    return [*_by_frequency(values), None, None, None][:3]


def _entropy(values: list[str]) -> float:
    shares = [values.count(value) / len(values) for value in set(values)]
    return -sum(share * math.log(share) for share in shares)


CATEGORIES: dict[str, Twin] = {
    "num_unique": of_values(lambda x: float(len(set(x))), 1),
    "percent_unique": of_values(lambda x: len(set(x)) / len(x), 1),
    "mean_count_per_unique": of_values(lambda x: len(x) / len(set(x)), 1),
    "mode": of_values(lambda x: _by_frequency(x)[0], 1),
    "n_most_common": of_values(_n_most_common),
    "max_count": of_values(lambda x: float(max((x.count(value) for value in x), default=0))),
    "percent_most_common": of_values(lambda x: max(x.count(value) for value in x) / len(x), 1),
    "percent_last": of_values(lambda x: x.count(x[-1]) / len(x), 1),
    "entropy": of_values(_entropy, 1),
}
