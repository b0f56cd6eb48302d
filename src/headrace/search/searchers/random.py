"""Searcher `random`: independent uniform draws from a space, the baseline of all other searchers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.search.space import Config, Space, require_searchable, sample
from headrace.search.trial import Trial

_DRAWS = 32


class RandomSearcher:
    """Draw configs uniformly; the history only serves to avoid repeating a config."""

    name = "random"

    def __init__(self, space: Space) -> None:
        require_searchable(space)
        self.space = space

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        proposed = {tuple(config.items()) for config in pending} | {tuple(trial.config.items()) for trial in history}
        configs: list[Config] = []
        for _ in range(n):
            # In a space of few configs, avoid those that were proposed before, as far as these draws allow.
            candidates = (sample(self.space, rng) for _ in range(_DRAWS))
            config = next(
                (candidate for candidate in candidates if tuple(candidate.items()) not in proposed), None
            ) or sample(self.space, rng)
            proposed.add(tuple(config.items()))
            configs.append(config)
        return configs
