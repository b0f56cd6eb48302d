"""Random neighbours of good configs, for searchers that maximise an acquisition function by local search."""

from __future__ import annotations

import numpy as np

from headrace.search.searchers.cube import Array, Cube


def sample_neighbours(cube: Cube, X: Array, n: int, rng: np.random.Generator) -> Array:
    """Draw n configs [n, d] near rows of X [k, d]: about two parameters change, numbers by a normal step."""
    neighbours = X[rng.integers(len(X), size=n)]
    active = np.maximum((~np.isnan(neighbours)).sum(axis=1, keepdims=True), 1)
    changed = rng.random(neighbours.shape) < 2 / active
    changed[np.arange(n), rng.integers(cube.d, size=n)] = True
    step = 10.0 ** rng.uniform(-2, -0.3, size=(n, 1))
    for j, column in enumerate(cube.columns):
        if column.options:
            new_value = rng.integers(column.options, size=n).astype(np.float64)
        else:
            new_value = neighbours[:, j] + step[:, 0] * rng.standard_normal(n)
        neighbours[:, j] = np.where(changed[:, j] & ~np.isnan(neighbours[:, j]), new_value, neighbours[:, j])
    return cube.prune(cube.snap(neighbours), rng)
