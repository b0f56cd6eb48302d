"""Evaluate genotypes within a budget and keep the history: what every search strategy calls.

A genotype that was evaluated before is answered from the history and costs nothing, as in production, where its result
is stored. A genotype over the cost limit is never evaluated: a strategy asks `feasible` first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.core.errors import DeclarationError
from headrace.networks.architectures.space import ArchitectureSpace, Genotype

#: Proposals per evaluation after which a search ends although its budget is not spent: it only repeats itself.
_REPEATS = 50


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of training one network.

    Attributes:
        loss: Validation loss, lower is better; infinite where training failed.
        seconds: Time of the training.
    """

    loss: float
    seconds: float = 0.0


Evaluate = Callable[[Genotype], Evaluation]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a search may spend.

    Attributes:
        evaluations: Most distinct genotypes that are evaluated.
        seconds: Most network-seconds (sum of `Evaluation.seconds`); the last evaluation may exceed it.
        cost_limit: Largest cost of a genotype, in the unit of `cost`.
        cost: Genotype -> its cost, such as its parameters. None where there is no limit.

    Raises:
        DeclarationError: No evaluation is allowed, or a limit is given without a cost.
    """

    evaluations: int
    seconds: float = math.inf
    cost_limit: float = math.inf
    cost: Callable[[Genotype], float] | None = None

    def __post_init__(self) -> None:
        if self.evaluations < 1 or self.seconds <= 0:
            raise DeclarationError("a search needs at least one evaluation", where="Budget")
        if self.cost is None and self.cost_limit < math.inf:
            raise DeclarationError("a cost limit needs the cost of a genotype", where="Budget", fix="give cost=")


class BudgetSpent(Exception):
    """Ends a strategy: nothing more may be evaluated."""


@dataclass(kw_only=True)
class Evaluator:
    """Evaluates genotypes until a budget is spent.

    Attributes:
        space: The space.
        evaluate: Trains the network of a genotype.
        budget: What may be spent.
        history: (genotype, evaluation) in order, each genotype once.
    """

    space: ArchitectureSpace
    evaluate: Evaluate
    budget: Budget
    history: list[tuple[Genotype, Evaluation]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._known = dict(self.history)
        self._seconds = sum(evaluation.seconds for _, evaluation in self.history)
        self._proposals = 0

    def feasible(self, genotype: Genotype) -> bool:
        """Whether a genotype is within the cost limit."""
        return self.budget.cost is None or self.budget.cost(genotype) <= self.budget.cost_limit

    def known(self, genotype: Genotype) -> bool:
        """Whether a genotype was evaluated before."""
        return genotype in self._known

    @property
    def left(self) -> int:
        """Evaluations that may still be spent."""
        return 0 if self._seconds >= self.budget.seconds else self.budget.evaluations - len(self.history)

    def __call__(self, genotype: Genotype) -> float:
        """Return the loss of a genotype.

        Raises:
            BudgetSpent: The budget is spent, or the strategy only repeats known genotypes.
            DeclarationError: The genotype is over the cost limit.
        """
        self._proposals += 1
        if self.left < 1 or self._proposals > _REPEATS * self.budget.evaluations:
            raise BudgetSpent
        if genotype in self._known:
            return self._known[genotype].loss
        if not self.feasible(genotype):
            raise DeclarationError("the genotype is over the cost limit", where=self.space.name, found=genotype)
        evaluation = self.evaluate(genotype)
        loss = evaluation.loss if math.isfinite(evaluation.loss) else math.inf
        kept = Evaluation(loss=loss, seconds=evaluation.seconds)
        self._known[genotype] = kept
        self._seconds += kept.seconds
        self.history.append((genotype, kept))
        return kept.loss
