"""The first configs of a search that starts from an earlier study: its incumbent, then the best by rank that differ.

Configs of an earlier task, ranked and evaluated first, are the strongest part of transfer when few trials are spent
(Feurer, Springenberg and Hutter, 2015; Wistuba, Schilling and Schmidt-Thieme, 2015).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.search.searchers.cube import Array, Cube
from headrace.search.space import Config, Space, config_errors
from headrace.search.transfer.known import KnownTrial

#: Smallest distance of two configs of a portfolio: root mean square over the parameters, each on [0, 1].
MIN_DISTANCE = 0.1


def portfolio(space: Space, known: Sequence[KnownTrial], incumbent: Config, size: int) -> tuple[Config, ...]:
    """Choose the first configs of a search.

    Args:
        space: What is searched.
        known: Trials of the earlier study; those outside of the space are left out.
        incumbent: Config that it ended with. It comes first, where it belongs to the space.
        size: Number of configs at most.

    Returns:
        The incumbent, then finished trials by loss, each at least `MIN_DISTANCE` from every one before it.
    """
    cube = Cube(space)
    ranked = sorted((trial for trial in known if trial.finished), key=lambda trial: trial.loss)
    candidates = [dict(incumbent), *(dict(trial.config) for trial in ranked)]
    chosen: list[Config] = []
    rows: list[Array] = []
    for config in candidates:
        if len(chosen) == size or config_errors(space, config):
            continue
        row = cube.features(cube.encode([config]))[0]
        if all(distance(row, other, cube.d) >= MIN_DISTANCE for other in rows):
            chosen.append(config)
            rows.append(row)
    return tuple(chosen)


def distance(a: Array, b: Array, d: int) -> float:
    """Compute the distance of two rows of `Cube.features` of d parameters, per parameter: 1 at opposite corners."""
    return float(np.sqrt(((a - b) ** 2).sum() / d))
