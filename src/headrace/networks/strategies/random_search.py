"""Strategy `random`: distinct genotypes, uniform over the space (Li & Talwalkar, 2019). The yardstick of the others."""

from __future__ import annotations

import numpy as np

from headrace.networks.strategies.evaluator import Evaluator
from headrace.networks.strategies.protocol import sample_feasible


class RandomSearch:
    """Uniform draws without repetition."""

    name = "random"

    def propose_all(self, evaluator: Evaluator, rng: np.random.Generator) -> None:
        while True:
            evaluator(sample_feasible(evaluator, rng, new=True))
