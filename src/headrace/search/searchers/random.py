"""Random search: what every other searcher must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.search.space import Config, Space, require_searchable, sample
from headrace.search.trial import Trial

_DRAWS = 32


class RandomSearcher:
    """Independent uniform draws; of history it is only looked at what was asked."""

    name = "random"

    def __init__(self, space: Space) -> None:
        require_searchable(space)
        self.space = space

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        used = {tuple(config.items()) for config in pending} | {tuple(trial.config.items()) for trial in history}
        asked: list[Config] = []
        for _ in range(n):
            # In a space of few configs, not one that was asked before, unless chance insists.
            draws = (sample(self.space, rng) for _ in range(_DRAWS))
            config = next((draw for draw in draws if tuple(draw.items()) not in used), None) or sample(self.space, rng)
            used.add(tuple(config.items()))
            asked.append(config)
        return asked
