"""What the runs say: trials to a loss, ranks, regret, and paired tests.

| symbol | meaning                                                          | shape            |
|--------|------------------------------------------------------------------|------------------|
| best   | incumbent's loss after each trial                                | [contenders, tables, seeds, trials] |
| regret | (best - lowest) / (typical - lowest), per table                  | the same         |

lowest: the least loss that anybody found or that was measured on that table; typical: the median loss of a random
config. Lower is better throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Marks(NamedTuple):
    """What a table's losses are compared with. target: the loss to reach; typical, lowest: of the regret."""

    target: float
    typical: float
    lowest: float


class Duel(NamedTuple):
    """One contender against another on the same runs. better, worse: runs, by regret at the end; the rest are equal.

    p: of the two-sided Wilcoxon test over runs; by_table: over tables, mean of seeds. gain: median difference of
    regret, above zero where the first one is better.
    """

    first: str
    second: str
    better: int
    worse: int
    gain: float
    p: float
    by_table: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """losses: [contenders, tables, seeds, trials], one block of runs for all contenders; marks: by table."""

    contenders: tuple[str, ...]
    tables: tuple[str, ...]
    losses: Floats
    marks: Mapping[str, Marks]

    @cached_property
    def best(self) -> Floats:
        return np.minimum.accumulate(self.losses, axis=-1)

    @cached_property
    def regret(self) -> Floats:
        lowest, typical = (
            np.array([getattr(self.marks[table], name) for table in self.tables])[None, :, None, None]
            for name in ("lowest", "typical")
        )
        lowest = np.minimum(lowest, self.losses.min(axis=(0, 2, 3))[None, :, None, None])
        return np.asarray((self.best - lowest) / (typical - lowest))

    @cached_property
    def trials_to_target(self) -> Floats:
        """[contenders, tables, seeds]: the trial that reached the table's target, infinite where none did."""
        target = np.array([self.marks[table].target for table in self.tables])[None, :, None, None]
        reached = self.best <= target
        return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1.0, np.inf)

    def median_trials(self, contender: str) -> float:
        """Median over runs of the trials to the target; infinite where half of them never got there."""
        return float(np.median(self.trials_to_target[self.contenders.index(contender)]))

    def trials_by_table(self, contender: str) -> Floats:
        """[tables]: median over seeds."""
        return np.asarray(np.median(self.trials_to_target[self.contenders.index(contender)], axis=-1))

    def rank(self, contender: str, trial: int = -1) -> float:
        """Mean rank over runs of the incumbent after a trial, 1 is best; equals share their ranks."""
        from scipy.stats import rankdata

        return float(rankdata(self.best[..., trial], axis=0)[self.contenders.index(contender)].mean())

    def mean_regret(self, contender: str) -> Floats:
        """[trials]: mean over runs."""
        return np.asarray(self.regret[self.contenders.index(contender)].mean(axis=(0, 1)))

    def duels(self, pairs: Sequence[tuple[str, str]]) -> list[Duel]:
        """Paired tests of the final regret, corrected for their number (Holm, 1979)."""
        raw = [self._duel(*pair) for pair in pairs]
        over_games, over_tables = (holm([getattr(one, name) for one in raw]) for name in ("p", "by_table"))
        return [
            one._replace(p=float(p), by_table=float(q)) for one, p, q in zip(raw, over_games, over_tables, strict=True)
        ]

    def worse(self, first: str, second: str) -> tuple[float, float]:
        """One-sided p, over runs and over tables, that the first one's final regret is higher; not corrected.

        Small where the first one is worse, near 1 where it is better.
        """
        gains = self._gains(first, second)
        return _signed_ranks(gains.ravel(), "less"), _signed_ranks(gains.mean(axis=-1), "less")

    def _gains(self, first: str, second: str) -> Floats:
        """[tables, seeds]: by how much the first one's final regret is lower."""
        final = self.regret[..., -1]
        return np.asarray(final[self.contenders.index(second)] - final[self.contenders.index(first)])

    def _duel(self, first: str, second: str) -> Duel:
        gains = self._gains(first, second)
        return Duel(
            first=first,
            second=second,
            better=int((gains > 0).sum()),
            worse=int((gains < 0).sum()),
            gain=float(np.median(gains)),
            p=_signed_ranks(gains.ravel()),
            by_table=_signed_ranks(gains.mean(axis=-1)),
        )


def _signed_ranks(differences: Floats, alternative: str = "two-sided") -> float:
    from scipy.stats import wilcoxon

    if not np.any(differences):
        return 1.0
    return float(wilcoxon(differences, zero_method="pratt", alternative=alternative).pvalue)


def holm(p: Sequence[float]) -> Floats:
    """Adjusted p-values in the order given: the step-down of Holm (1979)."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    scaled = np.minimum(values[order] * np.arange(len(values), 0, -1), 1.0)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(scaled)
    return adjusted
