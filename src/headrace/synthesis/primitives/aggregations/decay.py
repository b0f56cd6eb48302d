"""Exponential decay: a value weighs 2^(-age / half life), where its age is taken at the last of the values.

The mean does not change as time goes by. Counts and sums do: they are stored as of the last value, and the transforms
`decay_1d`, `decay_7d` and `decay_30d` bring them to the tick at read.

The kernel keeps sums of the weights and of the weighted values in the nodes of one Fenwick tree (Fenwick, 1994) per
key. The node at place i (from 1, within its key) holds the sums of the places (i - lowest bit of i, i], as of the
instant of its last entry. A range is added up from nodes, newest first, and nothing is subtracted: a difference of
prefix sums would keep the rounding errors of entries outside the range. Entries whose weight is 0 in float64 are
skipped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from headrace.core.clock import format_duration
from headrace.synthesis.language.values import Floats
from headrace.synthesis.primitives.aggregation import ANY, NUMBER, Aggregation, AggregationFamily
from headrace.synthesis.primitives.entries import LookbackRanges
from headrace.synthesis.transforms.elapsed import HALF_LIVES

_AGGREGATIONS = tuple(
    aggregation
    for life in map(format_duration, HALF_LIVES.values())
    for aggregation in (
        Aggregation(
            name=f"decayed_mean_{life}", description=f"their mean, weighed with a half life of {life}", inputs=NUMBER
        ),
        Aggregation(
            name=f"decayed_sum_{life}",
            description=f"their sum, weighed with a half life of {life}",
            inputs=NUMBER,
            empty=0.0,
            finish=f"decay_{life}",
        ),
        Aggregation(
            name=f"decayed_count_{life}",
            description=f"how many, weighed with a half life of {life}",
            inputs=ANY,
            empty=0.0,
            rows=True,
            finish=f"decay_{life}",
        ),
    )
)


#: Half lives after which a weight is 0 in float64.
_GONE = 1075.0


def decay(ranges: LookbackRanges, names: frozenset[str]) -> dict[str, Floats]:
    """The aggregations `names`, each [m]."""
    result: dict[str, Floats] = {}
    for life, life_us in HALF_LIVES.items():
        of_life = names & {f"decayed_{what}_{life}" for what in ("mean", "sum", "count")}
        if not of_life:
            continue
        number, total = _sums(ranges, life, life_us, numbers=of_life != {f"decayed_count_{life}"})
        result[f"decayed_count_{life}"] = number
        result[f"decayed_sum_{life}"] = total
        with np.errstate(all="ignore"):
            result[f"decayed_mean_{life}"] = total / number
    return {name: result[name] for name in names}


def _sums(ranges: LookbackRanges, life: str, life_us: int, *, numbers: bool) -> tuple[Floats, Floats]:
    """Sum of weights and sum of weighted numbers of each range [m]."""
    valid = ranges.valid
    x = valid.x if numbers else np.ones(len(valid.key))

    def compute() -> Floats:
        nodes = np.empty((len(valid.key), 2))
        grow(x, valid.anchor, valid.start, float(life_us), nodes)
        return nodes

    nodes = valid.cached(f"decay_{life}_{numbers}", compute)
    out = np.zeros((2, ranges.size))
    gather_nodes(x, nodes, valid.anchor, valid.start, ranges.lo, ranges.hi, float(life_us), out)
    return out[0], out[1]


@njit(cache=True, nogil=True)
def _weight(age: int, life: float) -> float:
    return math.exp(-math.log(2.0) * (age / life))


@njit(cache=True, nogil=True)
def grow(x: Any, anchor: Any, start: Any, life: float, nodes: Any) -> None:
    """nodes [n, 2]: sum of weights and sum of weighted numbers, as of each node's last entry."""
    for i in range(len(x)):
        place = i - start[i] + 1
        bit = place & -place
        number, total = 1.0, x[i]
        step = 1
        while step < bit:
            child = i - step
            weight = _weight(anchor[i] - anchor[child], life)
            number += weight * nodes[child, 0]
            total += weight * nodes[child, 1]
            step *= 2
        nodes[i, 0], nodes[i, 1] = number, total


@njit(cache=True, nogil=True)
def gather_nodes(x: Any, nodes: Any, anchor: Any, start: Any, lo: Any, hi: Any, life: float, out: Any) -> None:
    """out [2, m]: sum of weights and sum of weighted numbers as of each range's last entry."""
    for j in range(len(lo)):
        if hi[j] <= lo[j]:
            continue
        i = hi[j] - 1
        first, last = start[i], anchor[i]
        number = total = 0.0
        while i >= lo[j]:
            age = last - anchor[i]
            if age > _GONE * life:
                break
            weight = _weight(age, life)
            place = i - first + 1
            bit = place & -place
            if i - bit + 1 >= lo[j]:
                number += weight * nodes[i, 0]
                total += weight * nodes[i, 1]
                i -= bit
            else:
                number += weight
                total += weight * x[i]
                i -= 1
        out[0, j], out[1, j] = number, total


DECAY = AggregationFamily(name="decay", aggregations=_AGGREGATIONS, kernel=decay)
