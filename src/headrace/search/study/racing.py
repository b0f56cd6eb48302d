"""Racing: stop a trial at a rung where a statistical test says that it will not beat the incumbent; for the study loop.

| symbol  | meaning                                                                                 |
|---------|-----------------------------------------------------------------------------------------|
| L_r     | a trial's loss at rung r: fewer rows, folds or rounds than the whole, or coarser steps   |
| L       | its loss when tried in full; L* is the incumbent's                                       |
| a, b, s | the line L_r = a + b L through the n trials tried in full (b >= 0), and the scatter of it |
| h       | 1/n + (L* - mean L)^2 / sum (L - mean L)^2: variance factor of the line at L*            |

At rung r the hypothesis "this trial would end as low as the incumbent" says L_r ~ a + b L* + s sqrt(1 + h) t. So the
trial is stopped where

    L_r > a + b L* + t(1 - error / R; n - 1) s sqrt(1 + h)

A trial that would have become the incumbent is stopped at one of its R rungs (R = 3 where there are fewer) with a
probability of at most `error` (Bonferroni). The bound is the prediction interval of simple regression (Draper and
Smith, 1998) of the rung's loss given the final loss. It assumes normal scatter and that later trials are like the
earlier ones; the measured rate of stopped winners is in docs/search.md. The slope b is needed because a subset of the
rows can separate configurations more than all rows do, and few rounds less.

With few trials s is poorly estimated. The variance of the L_r counts as one more observation of the scatter, so that a
few trials which happen to lie on a line do not stop trials close to it; hence n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from headrace.schema import Racing
from headrace.search.trial import Trial

#: The error is divided by at least this number of rungs.
_MIN_RUNGS = 3


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The bound of one rung, and the line that predicts the final loss from the loss at the rung.

    Attributes:
        stop_above: A trial whose loss at the rung is above this is stopped.
        rung_mean: Mean loss at the rung of the complete trials.
        final_mean: Mean final loss of the complete trials.
        slope: Change of the expected final loss per unit of loss at the rung.
    """

    stop_above: float
    rung_mean: float
    final_mean: float
    slope: float

    def expected_final_loss(self, loss: float) -> float:
        """Return the expected final loss of a trial with this loss at the rung."""
        return self.final_mean + self.slope * (loss - self.rung_mean)


@dataclass(frozen=True)
class Bounds:
    """The bounds of a trial by rung; a rung without a bound stops no trial.

    Attributes:
        by_rung: Rung -> its bound.
        error: Largest probability of stopping a trial that would have become the incumbent.
    """

    by_rung: Mapping[str, Bound] = field(default_factory=dict)
    error: float = 0.0

    def should_stop(self, rung: str, loss: float) -> bool:
        return rung in self.by_rung and loss > self.by_rung[rung].stop_above

    def projected_loss(self, rungs: Mapping[str, float], latest: float) -> float:
        """Return the expected final loss of a stopped trial, from the last rung with a bound that it reached.

        Args:
            rungs: Its losses by rung.
            latest: Its loss when it was stopped; returned where no rung has a bound.
        """
        projections = [
            self.by_rung[name].expected_final_loss(loss) for name, loss in rungs.items() if name in self.by_rung
        ]
        return projections[-1] if projections else latest


def racing_bounds(racing: Racing, trials: Sequence[Trial], rivals: Sequence[Trial] | None = None) -> Bounds:
    """Compute the racing bounds of the next trial from the finished ones.

    Args:
        racing: Error level, and number of complete trials that have reached a rung before any is stopped there.
        trials: The finished trials.
        rivals: Those of them that the trial is raced against, where not against all. What a stopped trial is expected
            to end at comes from all trials even so: the line through a few is often level.

    Returns:
        A bound for each rung that enough complete trials have reached.
    """
    bounds = _bounds_of(racing, trials)
    if rivals is None:
        return bounds
    own = _bounds_of(racing, rivals).by_rung
    by_rung = {
        name: replace(bound, stop_above=own[name].stop_above if name in own else math.inf)
        for name, bound in bounds.by_rung.items()
    }
    return Bounds(by_rung, racing.error)


def _bounds_of(racing: Racing, trials: Sequence[Trial]) -> Bounds:
    """Compute the bounds of a trial that is raced against these."""
    complete = [trial for trial in trials if trial.status == "ok" and trial.loss is not None]
    if len(complete) < racing.least:
        return Bounds()
    rungs = [trial.info.get("rungs", {}) for trial in complete]
    final = np.array([trial.loss for trial in complete], dtype=np.float64)
    level = 1 - racing.error / max(_MIN_RUNGS, *(len(losses) for losses in rungs))
    by_rung = {}
    for name in dict.fromkeys(name for losses in rungs for name in losses):
        reached = np.array([name in losses for losses in rungs])
        if reached.sum() >= racing.least:
            at_rung = np.array([losses[name] for losses in rungs if name in losses])
            by_rung[name] = _bound(at_rung, final[reached], float(final.min()), level)
    return Bounds(by_rung, racing.error)


def _bound(at_rung: np.ndarray, final: np.ndarray, incumbent: float, level: float) -> Bound:
    """Compute the bound of rung r from L_r [n] and L [n], in the symbols of the module docstring."""
    from scipy.special import stdtrit

    n, rung_mean, final_mean = len(final), float(at_rung.mean()), float(final.mean())
    x, y = final - final_mean, at_rung - rung_mean
    xx, xy, yy = float(x @ x), float(x @ y), float(y @ y)
    # A negative slope (worse at the rung, better at the end) carries no information about the final loss.
    b = max(xy, 0.0) / xx if xx > 0 else 0.0
    h = 1 / n + ((incumbent - final_mean) ** 2 / xx if xx > 0 else 0.0)
    scatter = float(np.sum((y - b * x) ** 2)) + yy / (n - 1)
    half_width = float(stdtrit(n - 1, level)) * math.sqrt(scatter / (n - 1)) * math.sqrt(1 + h)
    slope = max(xy, 0.0) / yy if yy > 0 else 0.0
    return Bound(
        stop_above=rung_mean + b * (incumbent - final_mean) + half_width,
        rung_mean=rung_mean,
        final_mean=final_mean,
        slope=slope,
    )
