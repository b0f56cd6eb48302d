"""Choose the number of boosting rounds of a configuration: the minimum of its smoothed mean loss over all folds.

Early stopping on one validation window of a few hundred rows has a large variance. So the learners of all folds advance
together, one round at a time, and one number of rounds is read off the curve of their mean loss.

| symbol | meaning                                                                       |
|--------|-------------------------------------------------------------------------------|
| L_k(r) | loss of fold k on its validation rows after r rounds                           |
| L(r)   | mean of L_k(r) over the folds                                                  |
| S(r)   | mean of L over the rounds of [r - HALF_WIDTH, r + HALF_WIDTH] that there are    |

The number of rounds is argmin S. Boosting ends when S has not decreased for PATIENCE rounds, but not within the first
MIN_ROUNDS. Where the minimum is below MIN_ROUNDS, the learning rate is reduced so that MIN_ROUNDS steps learn as much,
and the curve is computed again: the best number of a few large trees cannot be estimated to within one tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headrace.models.callback import NoCallback, TrialCallback
from headrace.models.families.protocol import Family, Learner
from headrace.models.space import Config

HALF_WIDTH = 5
PATIENCE = 20
MIN_ROUNDS = 30
#: Largest factor by which the learning rate is reduced.
MAX_STEP_REDUCTION = 6.0


@dataclass(kw_only=True)
class Curve:
    """Mean loss by round, and the best round so far.

    Attributes:
        min_rounds: The best round is at least this.
        losses: Mean loss after each round.
        best: The best round so far, 0 before the first.
        loss: S at the best round.
    """

    min_rounds: int = 1
    losses: list[float] = field(default_factory=list)
    best: int = 0
    loss: float = math.inf

    def add(self, loss: float) -> None:
        """Append the mean loss after one more round."""
        self.losses.append(loss)
        self._consider(len(self.losses) - HALF_WIDTH)

    def end(self) -> None:
        """Close the curve: smooth the last rounds over the rounds that exist."""
        last = len(self.losses)
        for rounds in range(max(1, last - HALF_WIDTH + 1), last + 1):
            self._consider(rounds)
        if not self.best:
            self.best, self.loss = last, self._smooth(last)

    @property
    def best_loss(self) -> float:
        """The least loss so far; the smoothed one as soon as it is defined."""
        return self.loss if self.best else min(self.losses)

    @property
    def converged(self) -> bool:
        """Whether the smoothed loss has not decreased for PATIENCE rounds."""
        return bool(self.best) and len(self.losses) - max(self.best, MIN_ROUNDS) >= PATIENCE + HALF_WIDTH

    def _consider(self, rounds: int) -> None:
        if rounds >= self.min_rounds and (loss := self._smooth(rounds)) < self.loss:
            self.best, self.loss = rounds, loss

    def _smooth(self, rounds: int) -> float:
        return float(np.mean(self.losses[max(0, rounds - 1 - HALF_WIDTH) : rounds + HALF_WIDTH]))


def boost(
    learners: Sequence[Learner],
    *,
    min_rounds: int = 1,
    max_rounds: int | None = None,
    callback: TrialCallback | None = None,
    rungs: Mapping[int | None, str] | None = None,
    fold_rung: str = "",
) -> Curve:
    """Advance the learners of all folds, a round at a time, until the curve has converged.

    Args:
        learners: One for each fold.
        min_rounds: The best round is at least this.
        max_rounds: Rounds after which to end, None for no limit.
        callback: Receives `on_rung` at the rounds of `rungs` and `on_round` at the others.
        rungs: Round -> name of its rung.
        fold_rung: Name of a rung after each fold but the last, for learners that learn everything in one round.

    Returns:
        The mean loss by round.
    """
    curve, callback, names = Curve(min_rounds=min_rounds), callback or NoCallback(), rungs or {}
    while not curve.converged and (max_rounds is None or len(curve.losses) < max_rounds):
        losses = []
        for number, learner in enumerate(learners, start=1):
            loss = learner.step()
            if loss is None:
                curve.end()
                return curve
            losses.append(loss)
            if fold_rung and number < len(learners):
                callback.on_rung(f"{fold_rung}, {number} of {len(learners)} folds", float(np.mean(losses)))
        curve.add(float(np.mean(losses)))
        name = names.get(len(curve.losses))
        callback.on_round(curve.best_loss) if name is None else callback.on_rung(name, curve.best_loss)
    if not curve.converged:
        curve.end()
    return curve


@dataclass(frozen=True, kw_only=True)
class RoundsResult:
    """The number of rounds of a configuration, and its learners.

    Attributes:
        config: The family's config, with a reduced learning rate where fewer than MIN_ROUNDS were best.
        rounds: None where the family has no rounds.
        loss: Smoothed mean loss over the folds at `rounds`.
        learners: The learners of the folds.
    """

    config: Config
    rounds: int | None
    loss: float
    learners: Sequence[Learner]


def find_rounds(
    family: Family,
    config: Config,
    start: Callable[[Config], Sequence[Learner]],
    *,
    callback: TrialCallback | None = None,
    rungs: Mapping[int | None, str] | None = None,
) -> RoundsResult:
    """Find the number of boosting rounds of a configuration.

    Args:
        family: Its model family.
        config: The family's config.
        start: Config -> a new learner for each fold.
        callback: Receives the losses.
        rungs: Round -> name of its rung.
    """
    stepless = family.rounds_at(config, 1.0) is None
    learners = start(config)
    curve = boost(learners, callback=callback, rungs=rungs, fold_rung=family.name if stepless else "")
    if stepless:
        return RoundsResult(config=config, rounds=None, loss=curve.loss, learners=learners)
    if curve.best < MIN_ROUNDS:
        config = family.with_smaller_steps(config, min(MIN_ROUNDS / curve.best, MAX_STEP_REDUCTION))
        learners = start(config)
        curve = boost(learners, min_rounds=MIN_ROUNDS, callback=callback)
    return RoundsResult(config=config, rounds=curve.best, loss=curve.loss, learners=learners)
