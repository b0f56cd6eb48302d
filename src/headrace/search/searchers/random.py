"""Random search: what every other searcher must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.search.space import Config, Space, require_searchable, sample
from headrace.search.trial import Trial


class RandomSearcher:
    """Independent uniform draws; history is not looked at."""

    name = "random"

    def __init__(self, space: Space) -> None:
        require_searchable(space)
        self.space = space

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        return [sample(self.space, rng) for _ in range(n)]
