"""Exponential decay: sums of 2^(-age / half life) and of what they weigh, over the nodes of a Fenwick tree per key.

A node at place i (from 1, within its key) holds the sums of the places (i - lowest bit of i, i], as of the instant of
its last. A window is put together from nodes, newest first, so nothing is ever subtracted: a difference of prefixes
would keep the rounding of all that the window leaves out. What is older than all of float64's exponents adds nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.language.values import Floats
from headrace.synthesis.primitives.aggregations.decay import HALF_LIVES
from headrace.synthesis.primitives.entries import Asked

#: Half lives after which a weight is 0 in float64.
_GONE = 1075.0


def decay(asked: Asked, names: frozenset[str]) -> dict[str, Floats]:
    """Those of the names that are asked for."""
    found: dict[str, Floats] = {}
    for life, life_us in HALF_LIVES.items():
        mine = names & {f"decayed_{what}_{life}" for what in ("mean", "sum", "count")}
        if not mine:
            continue
        number, total = _sums(asked, life, life_us, numbers=mine != {f"decayed_count_{life}"})
        found[f"decayed_count_{life}"] = number
        found[f"decayed_sum_{life}"] = total
        with np.errstate(all="ignore"):
            found[f"decayed_mean_{life}"] = total / number
    return {name: found[name] for name in names}


def _sums(asked: Asked, life: str, life_us: int, *, numbers: bool) -> tuple[Floats, Floats]:
    """Weights, and weighed numbers, of each window [m]."""
    filled = asked.filled
    x = filled.x if numbers else np.ones(len(filled.key))

    def make() -> Floats:
        nodes = np.empty((len(filled.key), 2))
        grow(x, filled.anchor, filled.start, float(life_us), nodes)
        return nodes

    nodes = filled.once(f"decay_{life}_{numbers}", make)
    out = np.zeros((2, asked.size))
    gather_nodes(x, nodes, filled.anchor, filled.start, asked.low, asked.high, float(life_us), out)
    return out[0], out[1]


@njit(cache=True, nogil=True)
def _weight(age: int, life: float) -> float:
    return math.exp(-math.log(2.0) * (age / life))


@njit(cache=True, nogil=True)
def grow(x: Any, anchor: Any, start: Any, life: float, nodes: Any) -> None:
    """nodes [n, 2]: sum of weights, sum of weighed numbers, as of each node's last entry."""
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
    """out [2, m]: sum of weights, sum of weighed numbers, as of each window's last entry."""
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
