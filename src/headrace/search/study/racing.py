"""Racing: a trial that has lost is stopped at a rung, by a test with a stated error.

| symbol  | meaning                                                                                 |
|---------|-----------------------------------------------------------------------------------------|
| L_r     | a trial's loss at rung r: fewer rows, folds or rounds than the whole, or coarser steps   |
| L       | its loss when tried in full; L* is the incumbent's                                       |
| a, b, s | the line L_r = a + b L through the n trials tried in full (b >= 0), and the scatter of it |
| h       | 1/n + (L* - mean L)^2 / sum (L - mean L)^2: how little the line is known at L*           |

At rung r the hypothesis "this trial would end as good as the incumbent" says L_r ~ a + b L* + s sqrt(1 + h) t. So the
trial is stopped where

    L_r > a + b L* + t(1 - error / R; n - 1) s sqrt(1 + h)

A trial that would have won is stopped at one of its R rungs (R = 3 where there are fewer) with a probability of at most
`error` (Bonferroni). It is the prediction interval of simple regression (Draper and Smith, 1998), taken of the rung
given the end, so that it is a test of the end. That holds as far as winners are like those seen, and scatter about
normally; how often winners are killed in truth is measured (docs/search.md). b matters: a part of the rows may set
configurations further apart than all of them do, and a few rounds less far: a gap at a rung is not the gap at the end.

With few trials s is not known. The spread of the L_r counts as one more observation of the scatter, so that a handful
of trials which happen to lie on a line stop nothing that is near; hence n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headrace.schema import Racing
from headrace.search.trial import Trial

#: A rung takes no more than this part of the error, be it the only one: what a rung does not tell is drawn by lot.
_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Of one rung. stop_above: a loss there that has lost. at, ends, slope: a loss of `at` there is expected to end at
    `ends`, and one that is higher by 1 to end higher by `slope`.
    """

    stop_above: float
    at: float
    ends: float
    slope: float

    def end(self, loss: float) -> float:
        """Where a trial with this loss at the rung is expected to end."""
        return self.ends + self.slope * (loss - self.at)


@dataclass(frozen=True)
class Bounds:
    """What a trial is held to, by rung; a rung without a bound stops nothing. error: stated with each stop."""

    of: Mapping[str, Bound] = field(default_factory=dict)
    error: float = 0.0

    def lost(self, rung: str, loss: float) -> bool:
        return rung in self.of and loss > self.of[rung].stop_above

    def projected(self, rungs: Mapping[str, float], latest: float) -> float:
        """What a trial would have ended at, as far as its last known rung tells.

        latest: its loss when it was stopped, taken where no rung that it passed has a bound.
        """
        known = [self.of[name].end(loss) for name, loss in rungs.items() if name in self.of]
        return known[-1] if known else latest


def bounds_of(racing: Racing, trials: Sequence[Trial]) -> Bounds:
    """The bounds of the next trial, by the rule of the module head.

    Args:
        racing: the declared error level, and how many trials are evaluated in full before any is stopped.
        trials: the finished trials.

    Returns:
        A bound for each rung that enough of the trials passed; none while too few were evaluated in full.
    """
    whole = [trial for trial in trials if trial.status == "ok" and trial.loss is not None]
    if len(whole) < racing.least:
        return Bounds()
    rungs = [trial.info.get("rungs", {}) for trial in whole]
    final = np.array([trial.loss for trial in whole], dtype=np.float64)
    level = 1 - racing.error / max(_FEWEST, *(len(passed) for passed in rungs))
    by_rung = {}
    for name in dict.fromkeys(name for passed in rungs for name in passed):
        here = np.array([name in passed for passed in rungs])
        if here.sum() >= racing.least:
            at_rung = np.array([passed[name] for passed in rungs if name in passed])
            by_rung[name] = _bound(at_rung, final[here], float(final.min()), level)
    return Bounds(by_rung, racing.error)


def _bound(at_rung: np.ndarray, final: np.ndarray, incumbent: float, level: float) -> Bound:
    """L_r [n], L [n] -> the bound of rung r, with the symbols of the module head."""
    from scipy.special import stdtrit

    n, at, ends = len(final), float(at_rung.mean()), float(final.mean())
    x, y = final - ends, at_rung - at
    xx, xy, yy = float(x @ x), float(x @ y), float(y @ y)
    # worse at the rung and better in the end: nothing can be told from such a rung
    b = max(xy, 0.0) / xx if xx > 0 else 0.0
    h = 1 / n + ((incumbent - ends) ** 2 / xx if xx > 0 else 0.0)
    scatter = float(np.sum((y - b * x) ** 2)) + yy / (n - 1)
    margin = float(stdtrit(n - 1, level)) * math.sqrt(scatter / (n - 1)) * math.sqrt(1 + h)
    slope = max(xy, 0.0) / yy if yy > 0 else 0.0
    return Bound(stop_above=at + b * (incumbent - ends) + margin, at=at, ends=ends, slope=slope)
