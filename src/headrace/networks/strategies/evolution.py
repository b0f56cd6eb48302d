"""Strategy `evolution`: regularised (aging) evolution (Real et al., 2019).

The population is a queue. Each step draws `sample` members, mutates the best of them, and removes the oldest member,
not the worst: a genotype survives only by descendants that do well again.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from headrace.networks.architectures.space import Genotype
from headrace.networks.strategies.evaluator import Evaluator
from headrace.networks.strategies.protocol import sample_feasible

#: Mutations that are tried for a child within the cost limit, before a random genotype takes its place.
_TRIES = 100


class RegularisedEvolution:
    """Aging evolution.

    Args:
        population: Members; at most a third of the evaluations.
        sample: Members that compete to be the parent.
    """

    name = "evolution"

    def __init__(self, population: int = 20, sample: int = 5) -> None:
        self.population, self.sample = population, sample

    def propose_all(self, evaluator: Evaluator, rng: np.random.Generator) -> None:
        members: deque[tuple[float, Genotype]] = deque()
        size = max(2, min(self.population, evaluator.budget.evaluations // 3))
        while len(members) < size:
            genotype = sample_feasible(evaluator, rng)
            members.append((evaluator(genotype), genotype))
        while True:
            drawn = rng.choice(len(members), size=min(self.sample, len(members)), replace=False)
            _, parent = min(members[int(i)] for i in drawn)
            child = self._child(parent, evaluator, rng)
            members.append((evaluator(child), child))
            members.popleft()

    def _child(self, parent: Genotype, evaluator: Evaluator, rng: np.random.Generator) -> Genotype:
        for _ in range(_TRIES):
            child = evaluator.space.mutate(parent, rng)
            if evaluator.feasible(child):
                return child
        return sample_feasible(evaluator, rng)
