"""Search for an architecture: space + budget + random numbers -> the best genotype, whatever the strategy."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from headrace.core.errors import DeclarationError
from headrace.networks.architectures.space import ArchitectureSpace, Genotype
from headrace.networks.strategies.evaluator import Budget, BudgetSpent, Evaluate, Evaluation, Evaluator

#: Draws after which a space counts as having no genotype within the cost limit.
_DRAWS = 10_000


class Strategy(Protocol):
    """Proposes genotypes, from the losses of earlier ones."""

    name: str

    def propose_all(self, evaluator: Evaluator, rng: np.random.Generator) -> None:
        """Call `evaluator` with genotypes until it raises BudgetSpent."""


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search found.

    Attributes:
        best: Genotype of the least loss; the first of equal ones.
        loss: Its loss.
        history: (genotype, evaluation) in order.
        strategy: Name of the strategy.
    """

    best: Genotype
    loss: float
    history: tuple[tuple[Genotype, Evaluation], ...]
    strategy: str

    @property
    def seconds(self) -> float:
        """Network-seconds of the search."""
        return sum(evaluation.seconds for _, evaluation in self.history)

    def curve(self) -> list[float]:
        """Return the least loss so far after each evaluation."""
        return [float(value) for value in np.minimum.accumulate([evaluation.loss for _, evaluation in self.history])]


def search_architecture(
    strategy: Strategy, space: ArchitectureSpace, evaluate: Evaluate, budget: Budget, rng: np.random.Generator
) -> SearchResult:
    """Search a space within a budget.

    Args:
        strategy: One of `STRATEGIES`, or another.
        space: What to search.
        evaluate: Trains the network of a genotype, or reads its stored result.
        budget: What may be spent.
        rng: All random numbers of the search.

    Raises:
        DeclarationError: No genotype is within the cost limit.
    """
    evaluator = Evaluator(space=space, evaluate=evaluate, budget=budget)
    with contextlib.suppress(BudgetSpent):
        strategy.propose_all(evaluator, rng)
    best, evaluation = min(evaluator.history, key=lambda item: item[1].loss)
    return SearchResult(best=best, loss=evaluation.loss, history=tuple(evaluator.history), strategy=strategy.name)


def sample_feasible(evaluator: Evaluator, rng: np.random.Generator, *, new: bool = False) -> Genotype:
    """Draw a genotype within the cost limit, uniformly, by rejection.

    Args:
        evaluator: Of the search.
        rng: Random numbers.
        new: Whether genotypes that were evaluated before are rejected too.

    Raises:
        BudgetSpent: Every draw was known already.
        DeclarationError: Every draw is over the cost limit.
    """
    for _ in range(_DRAWS):
        genotype = evaluator.space.sample(rng)
        if evaluator.feasible(genotype) and not (new and evaluator.known(genotype)):
            return genotype
    if evaluator.history:
        raise BudgetSpent
    raise DeclarationError(
        f"none of {_DRAWS:,} genotypes is within the cost limit",
        where=f"space {evaluator.space.name!r}",
        found=[evaluator.budget.cost_limit if evaluator.budget.cost_limit < math.inf else "no limit"],
        fix="raise the limit",
    )
