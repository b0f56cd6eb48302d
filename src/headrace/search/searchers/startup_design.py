"""Space-filling proposals for the first trials of a study, before a model can be fitted."""

from __future__ import annotations

import numpy as np

from headrace.search.searchers.cube import Array, Cube

#: Random configs of which the one farthest from all proposed ones is returned.
_DRAWS = 32


def best_candidate(
    cube: Cube, X: Array, proposed: set[bytes], rng: np.random.Generator, n_candidates: int = _DRAWS
) -> Array:
    """Return the random config whose smallest distance to X is largest (best-candidate sampling, Mitchell 1991).

    A Sobol sequence would need a scramble shared by all calls of a study, and a searcher has no state to hold it.

    Args:
        cube: Encoding of the space.
        X: Configs proposed so far [n, d].
        proposed: Their identities; one of them is returned only where all candidates are among them.
        rng: Source of randomness.
        n_candidates: Number of random configs.

    Returns:
        One row [d].
    """
    candidates = cube.sample(n_candidates, rng)
    unused = [i for i, identity in enumerate(cube.identities(candidates)) if identity not in proposed]
    if not unused:
        unused = list(range(n_candidates))
    candidates = candidates[unused]
    if not len(X):
        X = np.full((1, cube.d), np.nan)
    difference = cube.features(candidates)[:, None, :] - cube.features(X)[None, :, :]
    squared = (difference**2).sum(axis=2).min(axis=1)
    farthest: Array = candidates[int(np.argmax(squared))]
    return farthest
