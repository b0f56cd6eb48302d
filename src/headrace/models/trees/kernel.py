"""The compiled loop over the trees of a forest: eight trees are walked at once, so that their memory reads overlap.

A row's values are first copied into a buffer with one number per distinct test (feature and treatment of missing
values, or one set of categories), so that every node is the same comparison, buffer[slot] <= threshold. A leaf's slot
holds NaN, whose comparison is false, and its right child is the leaf itself: a finished walk stays where it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

#: LightGBM counts values of at most this size as zero.
ZERO = np.float32(1e-35)
#: Treatments of missing values: NaN is zero; NaN goes right or left; zero and NaN go right or left.
NAN_IS_ZERO, NAN_RIGHT, NAN_LEFT, ZERO_RIGHT, ZERO_LEFT = range(5)
#: Trees that are walked at once.
LANES = 8


@njit(cache=True, nogil=True)
def fill(
    row: Any, slot_feature: Any, slot_mode: Any, group_feature: Any, group_start: Any, table_start: Any, table: Any,
    codes: Any, buffer: Any,
) -> None:  # fmt: skip
    """Write a row's tests into the buffer: NaN (of leaves), numerical tests, then -1 or 1 for each set of categories.

    Args:
        row: float32 [d].
        slot_feature, slot_mode: Feature and treatment of missing values of each numerical test [s].
        group_feature: Feature of each group of category sets [g].
        group_start: First test of each group [g + 1], after the numerical ones.
        table_start: Start of each group's part of the table [g].
        table: For each group, for each code, then for every other value: -1 (left) or 1 for each of its sets.
        codes: Number of category codes in the table.
        buffer: float32 [1 + s + sets], written.
    """
    buffer[0] = np.nan
    for slot in range(slot_feature.size):
        value = row[slot_feature[slot]]
        mode = slot_mode[slot]
        if abs(value) <= ZERO:
            value = np.float32(0.0) if mode <= NAN_LEFT else np.float32(np.nan)
        if value != value:
            if mode == NAN_IS_ZERO:
                value = np.float32(0.0)
            elif mode in (NAN_LEFT, ZERO_LEFT):
                value = np.float32(-np.inf)  # below every threshold; NaN itself is below none
        buffer[1 + slot] = value
    for group in range(group_feature.size):
        value = row[group_feature[group]]
        code = int(value) if value > -1 and value < codes else codes
        first = group_start[group]
        sets = group_start[group + 1] - first
        start = table_start[group] + code * sets
        for position in range(sets):
            buffer[first + position] = table[start + position]


@njit(cache=True, nogil=True, boundscheck=False)
def walk(buffer: Any, roots: Any, nodes: Any, leaves: Any) -> None:
    """leaves [t]: the node of each tree's leaf. Their number is a multiple of `LANES`."""
    for first in range(0, roots.size, LANES):
        a, b, c, d = roots[first], roots[first + 1], roots[first + 2], roots[first + 3]
        e, f, g, h = roots[first + 4], roots[first + 5], roots[first + 6], roots[first + 7]
        while True:
            a1 = nodes[a].child + (0 if buffer[nodes[a].slot] <= nodes[a].threshold else 1)
            b1 = nodes[b].child + (0 if buffer[nodes[b].slot] <= nodes[b].threshold else 1)
            c1 = nodes[c].child + (0 if buffer[nodes[c].slot] <= nodes[c].threshold else 1)
            d1 = nodes[d].child + (0 if buffer[nodes[d].slot] <= nodes[d].threshold else 1)
            e1 = nodes[e].child + (0 if buffer[nodes[e].slot] <= nodes[e].threshold else 1)
            f1 = nodes[f].child + (0 if buffer[nodes[f].slot] <= nodes[f].threshold else 1)
            g1 = nodes[g].child + (0 if buffer[nodes[g].slot] <= nodes[g].threshold else 1)
            h1 = nodes[h].child + (0 if buffer[nodes[h].slot] <= nodes[h].threshold else 1)
            moved = (a ^ a1) | (b ^ b1) | (c ^ c1) | (d ^ d1) | (e ^ e1) | (f ^ f1) | (g ^ g1) | (h ^ h1)
            if moved == 0:
                break
            a, b, c, d, e, f, g, h = a1, b1, c1, d1, e1, f1, g1, h1
        leaves[first], leaves[first + 1], leaves[first + 2], leaves[first + 3] = a, b, c, d
        leaves[first + 4], leaves[first + 5], leaves[first + 6], leaves[first + 7] = e, f, g, h


@njit(cache=True, nogil=True, boundscheck=False)
def raw_scores(
    X: Any, slot_feature: Any, slot_mode: Any, group_feature: Any, group_start: Any, table_start: Any, table: Any,
    codes: Any, roots: Any, nodes: Any, values: Any, out: Any,
) -> None:  # fmt: skip
    """out [n, k]: for each row the sum of its leaves' values, tree after tree, as LightGBM adds them.

    X is float32 [n, d]; values [nodes] are those of leaves; tree i adds to output i modulo k; further arguments as
    of `fill` and `walk`.
    """
    buffer = np.empty(group_start[group_start.size - 1], dtype=np.float32)
    leaves = np.empty(roots.size, dtype=np.int32)
    outputs = out.shape[1]
    for row in range(X.shape[0]):
        fill(X[row], slot_feature, slot_mode, group_feature, group_start, table_start, table, codes, buffer)
        walk(buffer, roots, nodes, leaves)
        for output in range(outputs):
            total = 0.0
            for tree in range(output, roots.size, outputs):
                total += values[leaves[tree]]
            out[row, output] = total
