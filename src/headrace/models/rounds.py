"""How many boosting rounds a configuration gets: those of its least loss, averaged over folds and smoothed.

One validation window of a few hundred rows stops boosting where its luck says: after 2 rounds, or 9. So all folds are
boosted side by side, a round at a time, and one number of rounds is read off the curve of their mean.

| symbol | meaning                                                                       |
|--------|-------------------------------------------------------------------------------|
| L_k(r) | loss of fold k on its validation rows after r rounds                           |
| L(r)   | mean of L_k(r) over the folds                                                  |
| S(r)   | mean of L over the rounds of [r - HALF_WIDTH, r + HALF_WIDTH] that there are    |

The number of rounds is the r of the least S. Boosting ends when S has not fallen for PATIENCE rounds (of the
first LEAST_ROUNDS none ends it). Where fewer than
LEAST_ROUNDS are best, the learning rate is lowered so that as much is learnt in LEAST_ROUNDS steps, and the curve is
taken again: a handful of large trees is a matter of chance, and their number cannot be told to within a tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headrace.models.families.protocol import Family, Learner
from headrace.models.space import Config
from headrace.models.watch import Unwatched, Watch

HALF_WIDTH = 5
PATIENCE = 20
LEAST_ROUNDS = 30
#: Steps are made smaller by this at most: where the first rounds of large steps are best, that is luck as well.
MOST_SLOWER = 6.0


@dataclass(kw_only=True)
class Curve:
    """Mean losses by round, and the best round so far. least: no fewer rounds are best. loss: S at the best round."""

    least: int = 1
    losses: list[float] = field(default_factory=list)
    best: int = 0
    loss: float = math.inf

    def add(self, loss: float) -> None:
        """The mean loss after one more round."""
        self.losses.append(loss)
        self._consider(len(self.losses) - HALF_WIDTH)

    def end(self) -> None:
        """Nothing more can be learnt: the last rounds are smoothed over what there is."""
        last = len(self.losses)
        for rounds in range(max(1, last - HALF_WIDTH + 1), last + 1):
            self._consider(rounds)
        if not self.best:
            self.best, self.loss = last, self._smooth(last)

    @property
    def so_far(self) -> float:
        """The least loss until now: smoothed, as soon as it can be."""
        return self.loss if self.best else min(self.losses)

    @property
    def past_best(self) -> bool:
        """Whether the loss has not fallen for so long that more rounds are of no use."""
        return bool(self.best) and len(self.losses) - max(self.best, LEAST_ROUNDS) >= PATIENCE + HALF_WIDTH

    def _consider(self, rounds: int) -> None:
        if rounds >= self.least and (loss := self._smooth(rounds)) < self.loss:
            self.best, self.loss = rounds, loss

    def _smooth(self, rounds: int) -> float:
        return float(np.mean(self.losses[max(0, rounds - 1 - HALF_WIDTH) : rounds + HALF_WIDTH]))


def boosted(
    learners: Sequence[Learner],
    *,
    least: int = 1,
    most: int | None = None,
    watch: Watch | None = None,
    rungs: Mapping[int | None, str] | None = None,
    by_fold: str = "",
) -> Curve:
    """Let the learners of all folds learn, a round at a time, until more rounds are of no use.

    most: no more rounds than this. rungs: names of what the watch hears at some rounds; it ticks at the others.
    by_fold: the name of a rung after each fold but the last, for learners that have learnt all in their first round.
    """
    curve, watch, names = Curve(least=least), watch or Unwatched(), rungs or {}
    while not curve.past_best and (most is None or len(curve.losses) < most):
        losses = []
        for number, learner in enumerate(learners, start=1):
            loss = learner.step()
            if loss is None:
                curve.end()
                return curve
            losses.append(loss)
            if by_fold and number < len(learners):
                watch.rung(f"{by_fold}, {number} of {len(learners)} folds", float(np.mean(losses)))
        curve.add(float(np.mean(losses)))
        name = names.get(len(curve.losses))
        watch.tick(curve.so_far) if name is None else watch.rung(name, curve.so_far)
    if not curve.past_best:
        curve.end()
    return curve


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """A configuration that has learnt on all folds.

    config: of the family, its steps smaller where fewer than LEAST_ROUNDS were best. rounds: None where the family has
    none. loss: smoothed mean over the folds. learners: of the folds, as far as they were boosted.
    """

    config: Config
    rounds: int | None
    loss: float
    learners: Sequence[Learner]


def learnt(
    family: Family,
    config: Config,
    start: Callable[[Config], Sequence[Learner]],
    *,
    watch: Watch | None = None,
    rungs: Mapping[int | None, str] | None = None,
) -> Learnt:
    """Find a configuration's rounds. start: a config -> a learner for each fold, which has learnt nothing yet."""
    stepless = family.rounds_at(config, 1.0) is None
    learners = start(config)
    curve = boosted(learners, watch=watch, rungs=rungs, by_fold=family.name if stepless else "")
    if stepless:
        return Learnt(config=config, rounds=None, loss=curve.loss, learners=learners)
    if curve.best < LEAST_ROUNDS:
        config = family.slower(config, min(LEAST_ROUNDS / curve.best, MOST_SLOWER))
        learners = start(config)
        curve = boosted(learners, least=LEAST_ROUNDS, watch=watch)
    return Learnt(config=config, rounds=curve.best, loss=curve.loss, learners=learners)
