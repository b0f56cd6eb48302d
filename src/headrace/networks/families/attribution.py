"""Shapley values of any model by sampled permutations (Štrumbelj & Kononenko, 2014), which sum to its output exactly.

| symbol | shape  | meaning                                                                                         |
|--------|--------|-------------------------------------------------------------------------------------------------|
| x      | [d]    | the row                                                                                         |
| b_k    | [d]    | background row of permutation k; the same for all rows                                          |
| f      |        | raw output of the model                                                                         |

Permutation k replaces the values of b_k by those of x, one column after the other. The change of f by a column is its
contribution; the mean over all k estimates its Shapley value. The changes of a permutation sum to f(x) - f(b_k), so the
values of a row sum to f(x) minus a constant. Every permutation is used in both directions, which reduces the variance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

#: Permutations, each used in both directions.
_PAIRS = 8


def shapley_values(
    raw: Callable[[Matrix], Floats], X: Matrix, background: Matrix, *, pairs: int = _PAIRS, seed: int = 0
) -> Floats:
    """Estimate Shapley values.

    Args:
        raw: Rows [m, d] -> raw outputs [m].
        X: Rows [n, d]; NaN is missing.
        background: Background rows [b, d].
        pairs: Permutations, each used in both directions; more reduce the error.
        seed: Of the permutations.

    Returns:
        Values [n, d].
    """
    rng = np.random.default_rng(seed)
    total = np.zeros(X.shape, dtype=np.float64)
    if not len(X):
        return total
    for pair in range(pairs):
        order = rng.permutation(X.shape[1])
        start = background[pair % len(background)]
        for direction in (order, order[::-1]):
            total += _changes(raw, X, start, direction)
    return total / (2 * pairs)


def _changes(raw: Callable[[Matrix], Floats], X: Matrix, start: Matrix, order: NDArray[np.int64]) -> Floats:
    """Return the change of the output when each column takes the row's value, in this order [n, d]."""
    current = np.repeat(start[None], len(X), axis=0)
    before = raw(current)
    changes = np.zeros(X.shape, dtype=np.float64)
    for column in order:
        equal = (current[:, column] == X[:, column]) | (np.isnan(current[:, column]) & np.isnan(X[:, column]))
        if equal.all():
            continue
        current[:, column] = X[:, column]
        after = raw(current)
        changes[:, column] = np.where(equal, 0.0, after - before)
        before = after
    return changes
