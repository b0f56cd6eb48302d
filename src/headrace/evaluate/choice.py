"""Is one model better than another for certain? Judged on several validation windows, by a paired bootstrap over days.

The best of many configurations on one window is there by its luck as well, and the configuration that a study begins
with is good on most problems. So what a search has found replaces it only where it is better over all folds together,
beyond what the days of these windows can have made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headrace.evaluate.gate import differences, interval
from headrace.evaluate.metrics import Floats, Groups, Metric


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Two models' predictions for the validation rows [n] of one fold, which neither of them learnt from."""

    label: Floats
    found: Floats
    fallback: Floats
    cutoffs_us: Groups


@dataclass(frozen=True, kw_only=True)
class Choice:
    """found: whether the configuration that was found takes the place of the fallback.

    difference: found minus fallback, mean over the folds, positive is better. low, high: its 90 % interval.
    """

    found: bool
    reason: str
    difference: float
    low: float
    high: float
    n_folds: int
    n_rows: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def choose(metric: Metric, folds: Sequence[Judged], *, seed: int = 0, resamples: int = 1000) -> Choice:
    """Found or fallback, by the lower end of the interval of their mean difference over the folds."""
    value, drawn = 0.0, np.zeros(resamples)
    for number, fold in enumerate(folds):
        one, many = differences(
            metric, fold.label, fold.found, fold.fallback, fold.cutoffs_us, seed=seed + number, resamples=resamples
        )
        value, drawn = value + one / len(folds), drawn + many / len(folds)
    low, high = interval(drawn)
    rows = sum(len(fold.label) for fold in folds)
    where = f"{metric.name} {value:+.4g}, lower end {low:+.4g}, on {rows} rows of {len(folds)} folds"
    reason = f"better than the default: {where}" if low > 0 else f"not better than the default for certain: {where}"
    return Choice(found=low > 0, reason=reason, difference=value, low=low, high=high, n_folds=len(folds), n_rows=rows)
