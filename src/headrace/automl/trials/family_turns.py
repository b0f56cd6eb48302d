"""Divide the trials of a search among the families of models, because an ensemble gains from families that differ.

Half of the time of the workers belongs to the families in contention: those whose best loss is near the best of all;
the nearer, the greater a family's part. A cheap family would otherwise get few trials, because a searcher of the joint
space proposes what is best alone, and the first configurations of a search are mostly of the best families. A trial of
a family in contention is raced against trials of that family only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headrace.core.fingerprint import fingerprint
from headrace.models.space import Config
from headrace.search.searchers.protocol import Searcher
from headrace.search.trial import Trial

#: Share of the time that belongs to the families in contention.
_SHARE = 0.5
#: In contention is a family whose best loss is above the best of all by less than this share of the distance to a
#: constant's loss.
_NEAR = 0.1


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one family proposes.

    Attributes:
        first: Its first configs, best first.
        searcher: Proposes those after them, from the trials of the family alone.
        most: Number of trials after which the others get its part of the time.
    """

    first: Sequence[Config]
    searcher: Searcher
    most: float = math.inf


@dataclass(frozen=True, kw_only=True)
class FamilyTurns:
    """A searcher that gives families in contention their part of the time; otherwise it continues the first configs.

    Attributes:
        first: First configs of the search, best first; those that were tried are passed over.
        joint: Searcher of the joint space, for proposals after them.
        turns: Family -> its turn.
        constant_loss: Loss of a constant prediction.
        timed: Whether parts are of time. Otherwise they are of trials, so that proposals depend on losses alone.
    """

    first: Sequence[Config]
    joint: Searcher
    turns: Mapping[str, Turn]
    constant_loss: float
    timed: bool

    @property
    def name(self) -> str:
        """Name of the searcher of the joint space."""
        return self.joint.name

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        """Propose configs; see `Searcher.ask`."""
        proposed: list[Config] = []
        for _ in range(n):
            proposed.append(self._next(history, rng, [*pending, *proposed]))
        return proposed

    def rivals(self, config: Config, history: Sequence[Trial]) -> Sequence[Trial] | None:
        """Return the trials that one is raced against: those of its family where that is in contention, None for all.

        Against all, the many trials of a cheap family that is well tuned would stop every trial of a dear one.
        """
        family = str(config["family"])
        return _of(family, history) if family in self._contending(history) else None

    def _next(self, history: Sequence[Trial], rng: np.random.Generator, pending: Sequence[Config]) -> Config:
        tried = {fingerprint(config) for config in (*(trial.config for trial in history), *pending)}
        started = len(history) + len(pending) >= len(self.turns)  # before, most families have no result
        underused = self._underused(history, pending) if started else []
        if underused:
            family = underused[0]
            turn = self.turns[family]
            waiting = [config for config in pending if config["family"] == family]
            untried = [config for config in turn.first if fingerprint(config) not in tried]
            return untried[0] if untried else turn.searcher.ask(_of(family, history), 1, rng, waiting)[0]
        untried = [config for config in self.first if fingerprint(config) not in tried]
        return untried[0] if untried else self.joint.ask(history, 1, rng, pending)[0]

    def _underused(self, history: Sequence[Trial], pending: Sequence[Config]) -> list[str]:
        """Return the families in contention that have used less than their part, the one with the least of it first."""
        shares = self._shares(history)
        used = {family: self._used(_of(family, history), family, pending) for family in self.turns}
        part = {family: share * sum(used.values()) for family, share in shares.items()}
        return sorted(
            (family for family in part if used[family] < part[family]), key=lambda name: used[name] / part[name]
        )

    def _shares(self, history: Sequence[Trial]) -> dict[str, float]:
        """Return the shares of the time of the families in contention that have trials left; together `_SHARE`."""
        nearness = {
            family: value
            for family, value in self._contending(history).items()
            if len(_of(family, history)) < self.turns[family].most
        }
        return {family: _SHARE * value / sum(nearness.values()) for family, value in nearness.items()}

    def _contending(self, history: Sequence[Trial]) -> dict[str, float]:
        """Return how near each family in contention is: 1 for the best loss, falling to 0 at `_NEAR`."""
        best = {family: loss for family in self.turns if (loss := _best(_of(family, history))) is not None}
        least = min(best.values(), default=0.0)
        width = _NEAR * max(self.constant_loss - least, 0.0)
        nearness = {family: _nearness(loss - least, width) for family, loss in best.items()}
        return {family: value for family, value in nearness.items() if value > 0}

    def _used(self, trials: Sequence[Trial], family: str, pending: Sequence[Config]) -> float:
        """Return what a family has used: a trial that runs counts as the mean of its finished ones."""
        running = sum(config["family"] == family for config in pending)
        if not self.timed:
            return len(trials) + running
        seconds = sum(trial.seconds for trial in trials)
        return seconds * (1 + running / len(trials)) if trials else 0.0


def _nearness(distance: float, width: float) -> float:
    """Return 1 without a distance, falling to 0 at the width."""
    if distance == 0:
        return 1.0
    return max(1 - distance / width, 0.0) if width else 0.0


def _of(family: str, trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.config["family"] == family]


def _best(trials: Sequence[Trial]) -> float | None:
    """Return the least loss of the complete trials."""
    return min((trial.loss for trial in trials if trial.status == "ok" and trial.loss is not None), default=None)
