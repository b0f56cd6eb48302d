"""Where to look near what is good."""

from __future__ import annotations

import numpy as np

from headrace.search.searchers.cube import Array, Cube


def around(cube: Cube, X: Array, n: int, rng: np.random.Generator) -> Array:
    """n configs near some of X [k, d]: about two parameters moved, numbers by a normal step of some size."""
    moved = X[rng.integers(len(X), size=n)]
    active = np.maximum((~np.isnan(moved)).sum(axis=1, keepdims=True), 1)
    change = rng.random(moved.shape) < 2 / active
    change[np.arange(n), rng.integers(cube.d, size=n)] = True
    step = 10.0 ** rng.uniform(-2, -0.3, size=(n, 1))
    for j, column in enumerate(cube.columns):
        if column.options:
            other = rng.integers(column.options, size=n).astype(np.float64)
        else:
            other = moved[:, j] + step[:, 0] * rng.standard_normal(n)
        moved[:, j] = np.where(change[:, j] & ~np.isnan(moved[:, j]), other, moved[:, j])
    return cube.prune(cube.snap(moved), rng)
