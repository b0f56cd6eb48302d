"""Strategy `local`: hill climbing with restarts (White et al., 2021).

From a random genotype, all neighbours are evaluated in random order; the search moves to the best one while it is
better, and starts anew from a local minimum.
"""

from __future__ import annotations

import numpy as np

from headrace.networks.strategies.evaluator import Evaluator
from headrace.networks.strategies.protocol import sample_feasible


class LocalSearch:
    """Steepest descent over neighbours, with restarts.

    Args:
        starts: Random genotypes before the first descent, which starts at the best of them.
    """

    name = "local"

    def __init__(self, starts: int = 10) -> None:
        self.starts = starts

    def propose_all(self, evaluator: Evaluator, rng: np.random.Generator) -> None:
        while True:
            drawn = [sample_feasible(evaluator, rng, new=True) for _ in range(self.starts)]
            losses = [evaluator(genotype) for genotype in drawn]
            at = int(np.argmin(losses))
            current, loss = drawn[at], losses[at]
            while True:
                around = [other for other in evaluator.space.neighbours(current) if evaluator.feasible(other)]
                scored = [(evaluator(around[i]), around[i]) for i in rng.permutation(len(around))]
                if not scored or min(scored)[0] >= loss:
                    break
                loss, current = min(scored)
