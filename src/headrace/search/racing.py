"""Racing: a trial that has lost is stopped at a rung, by a test with a stated error.

| symbol | meaning                                                                     |
|--------|-----------------------------------------------------------------------------|
| L_r    | a trial's loss at rung r: fewer rows, folds or rounds than the whole        |
| L      | its loss when tried in full; L* is the incumbent's                          |
| D_r    | L_r - L: what the rest of the way brings                                    |
| n, m, s | number, mean and standard deviation of D_r over the n trials tried in full |

At rung r the hypothesis "this trial would end as good as the incumbent or better" says L <= L*, hence
L_r <= L* + D_r. D_r of the next trial is predicted from those seen: D_r ~ m + s sqrt(1 + 1/n) t. So the trial is
stopped where

    L_r > L* + m + t(1 - error / R; n) s sqrt(1 + 1/n)

A trial that would have won is stopped at one of its R rungs with a probability of at most `error` (Bonferroni). That
holds as far as winners' D_r are like those seen and about normal; how often winners are killed in truth is measured
(docs/search.md). It is the paired test of a trial against the incumbent at the same rung, with the noise that matters:
not that of the validation rows, which both share, but how far the gap at a rung is from the gap at the end.

With few trials s is not known. The spread of the losses L counts as one more observation of D_r, so that a handful of
trials which happen to agree stop nothing that is near.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headrace.core.errors import DeclarationError
from headrace.search.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Of one rung. stop_above: a loss there that has lost. gain: what the rest of the way is expected to bring."""

    stop_above: float
    gain: float


@dataclass(frozen=True)
class Bounds:
    """What a trial is held to, by rung; a rung without a bound stops nothing. error: stated with each stop."""

    of: Mapping[str, Bound] = field(default_factory=dict)
    error: float = 0.0

    def lost(self, rung: str, loss: float) -> bool:
        return rung in self.of and loss > self.of[rung].stop_above

    def projected(self, rungs: Mapping[str, float], latest: float) -> float:
        """What a trial would have ended at, as far as can be told: its last known rung less the usual gain from there.

        latest: its loss when it was stopped, taken where no rung that it passed has a bound.
        """
        known = [(loss, self.of[name].gain) for name, loss in rungs.items() if name in self.of]
        return known[-1][0] - known[-1][1] if known else latest


@dataclass(frozen=True, kw_only=True)
class Racing:
    """The rule of the module head. least: so many trials are tried in full before any is stopped at a rung.

    At an error of 0.2, on real curves, 5 % of winners that are barely ahead are killed, none that is well ahead
    (docs/search.md).
    """

    error: float = 0.2
    least: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.error < 0.5:
            raise DeclarationError(f"an error of {self.error} is no level of a test", where="racing", fix="0.05, say")
        if self.least < 2:
            raise DeclarationError("two trials are the least that show a spread", where="racing")

    def bounds(self, trials: Sequence[Trial]) -> Bounds:
        """What the next trial is held to, given the finished ones."""
        whole = [trial for trial in trials if trial.status == "ok" and trial.loss is not None]
        if len(whole) < self.least:
            return Bounds()
        rungs = [trial.info.get("rungs", {}) for trial in whole]
        final = np.array([trial.loss for trial in whole], dtype=np.float64)
        level = 1 - self.error / max(1, *(len(passed) for passed in rungs))
        found = {}
        for name in dict.fromkeys(name for passed in rungs for name in passed):
            here = np.array([name in passed for passed in rungs])
            if here.sum() >= self.least:
                at_rung = np.array([passed[name] for passed in rungs if name in passed])
                found[name] = _bound(at_rung, final[here], float(final.min()), level)
        return Bounds(found, self.error)


def _bound(at_rung: np.ndarray, final: np.ndarray, incumbent: float, level: float) -> Bound:
    """L_r [n], L [n] -> the bound of rung r. One of n degrees of freedom is the spread of L."""
    from scipy.special import stdtrit

    n = len(final)
    rest = at_rung - final
    spread = math.sqrt(((n - 1) * float(rest.var(ddof=1)) + float(final.var(ddof=1))) / n)
    margin = float(stdtrit(n, level)) * spread * math.sqrt(1 + 1 / n)
    gain = float(rest.mean())
    return Bound(stop_above=incumbent + gain + margin, gain=gain)
