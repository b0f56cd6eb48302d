"""Strategy `reinforce`: REINFORCE with an LSTM controller (Zoph & Le, 2017) and rejection (TabNAS; Yang et al., 2022).

The controller draws a batch of genotypes. Those over the cost limit are rejected before anything is trained, so the
remaining ones follow p(y | feasible) = p(y) / P, with P the probability of a feasible draw. The gradient of the
expected reward under that distribution is

    E[(R(y) - baseline) * (grad log p(y) - grad log P)],   grad log P = E[grad log p(y) | feasible]

`grad log P` is estimated, for each draw, by the mean over the batch's other feasible draws; their rewards are a
baseline as well, and the moving average cancels. Without the correction (`correct=False`: a plain REINFORCE that only
skips infeasible draws) the controller also moves towards whatever is feasible, hence towards small networks. The reward
is the rank of a loss in the history, so that its scale does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.networks.architectures.space import Genotype
from headrace.networks.strategies.controller import Adam, Controller, Weights
from headrace.networks.strategies.evaluator import BudgetSpent, Evaluator
from headrace.networks.strategies.protocol import sample_feasible

#: Batches without a feasible draw after which a uniform feasible genotype is evaluated.
_EMPTY_BATCHES = 20


class Reinforce:
    """REINFORCE with an LSTM controller.

    Args:
        batch: Feasible genotypes of one update.
        rate: Learning rate of the controller.
        decay: Of the moving average that is the baseline.
        entropy: Weight of the controller's entropy, against an early end of exploration.
        correct: Whether the gradient accounts for rejection.
    """

    name = "reinforce"

    def __init__(
        self,
        *,
        batch: int = 5,
        rate: float = 0.02,
        decay: float = 0.8,
        entropy: float = 0.01,
        correct: bool = True,
    ) -> None:
        self.batch, self.rate, self.decay, self.entropy, self.correct = batch, rate, decay, entropy, correct

    def propose_all(self, evaluator: Evaluator, rng: np.random.Generator) -> None:
        controller = Controller([len(slot.options) for slot in evaluator.space.slots], rng)
        adam, baseline = Adam(self.rate), 0.5
        while True:
            genotypes = self._draw(controller, evaluator, rng)
            losses = [evaluator(genotype) for genotype in genotypes]
            rewards = self._rewards(losses, evaluator)
            gradient = reinforce_gradient(
                controller, genotypes, rewards - baseline, correct=self.correct, entropy=self.entropy
            )
            adam.ascend(controller.weights, gradient)
            baseline = self.decay * baseline + (1 - self.decay) * float(rewards.mean())

    def _draw(self, controller: Controller, evaluator: Evaluator, rng: np.random.Generator) -> list[Genotype]:
        """Draw a batch of feasible genotypes; a uniform one where the controller finds none."""
        found: list[Genotype] = []
        for _ in range(_EMPTY_BATCHES):
            found += [genotype for genotype in controller.sample(self.batch, rng) if evaluator.feasible(genotype)]
            if len(found) >= self.batch:
                break
        if not found and not evaluator.left:
            raise BudgetSpent
        return found[: self.batch] or [sample_feasible(evaluator, rng)]

    @staticmethod
    def _rewards(losses: Sequence[float], evaluator: Evaluator) -> NDArray[np.float64]:
        """Return the share of the history that each loss is better than, ties counted half [B]."""
        past = np.array([evaluation.loss for _, evaluation in evaluator.history])
        return np.array([(past > loss).mean() + 0.5 * (past == loss).mean() for loss in losses])


def reinforce_gradient(
    controller: Controller,
    genotypes: Sequence[Genotype],
    advantages: NDArray[np.float64],
    *,
    correct: bool = True,
    entropy: float = 0.0,
) -> Weights:
    """Return the estimate of the gradient of the expected reward.

    Args:
        controller: The controller.
        genotypes: Feasible draws [B].
        advantages: Reward minus baseline of each [B].
        correct: Whether the gradient of log P, the probability of a feasible draw, is subtracted.
        entropy: Weight of the entropy.
    """
    coefficients = advantages / len(genotypes)
    if correct and len(genotypes) > 1:
        # The mean of grad log p over the other draws estimates grad log P without bias.
        others = (advantages.sum() - advantages) / (len(genotypes) - 1)
        coefficients = (advantages - others) / len(genotypes)
    return controller.gradient(genotypes, coefficients, entropy=entropy / len(genotypes))
