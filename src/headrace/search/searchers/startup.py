"""Where to look before there is anything to learn from."""

from __future__ import annotations

import numpy as np

from headrace.search.searchers.cube import Array, Cube

#: Draws of which the one farthest from all that was asked is taken.
_DRAWS = 32


def spread(cube: Cube, X: Array, used: set[bytes], rng: np.random.Generator, draws: int = _DRAWS) -> Array:
    """The row [d] of a config away from X [n, d]: the best of some random ones (Mitchell's best candidate, 1991).

    A Sobol sequence would need a scramble that all asks of a study share, and a searcher has no state to keep it in.
    Only where `draws` configs in a row were all used is one of them asked again.
    """
    candidates = cube.sample(draws, rng)
    fresh = [i for i, identity in enumerate(cube.identities(candidates)) if identity not in used]
    if not fresh:
        fresh = list(range(draws))
    candidates = candidates[fresh]
    if not len(X):
        X = np.full((1, cube.d), np.nan)
    near, far = cube.features(X), cube.features(candidates)
    squared = ((far[:, None, :] - near[None, :, :]) ** 2).sum(axis=2).min(axis=1)
    farthest: Array = candidates[int(np.argmax(squared))]
    return farthest
