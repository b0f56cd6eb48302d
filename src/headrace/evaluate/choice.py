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
class FoldPredictions:
    """Two models' predictions for the validation rows [n] of one fold, which neither of them learnt from."""

    label: Floats
    candidate: Floats
    fallback: Floats
    cutoffs_us: Groups


@dataclass(frozen=True, kw_only=True)
class Choice:
    """found: whether the configuration that was found takes the place of the fallback.

    difference: found minus fallback, mean over the folds, positive is better. low, high: its 90 % interval.
    """

    candidate_better: bool
    reason: str
    difference: float
    low: float
    high: float
    n_folds: int
    n_rows: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def choose(metric: Metric, folds: Sequence[FoldPredictions], *, seed: int = 0, resamples: int = 1000) -> Choice:
    """Found or fallback, by the lower end of the interval of their mean difference over the folds."""
    difference, resampled = 0.0, np.zeros(resamples)
    for number, fold in enumerate(folds):
        fold_difference, fold_resampled = differences(
            metric, fold.label, fold.candidate, fold.fallback, fold.cutoffs_us, seed=seed + number, resamples=resamples
        )
        difference, resampled = difference + fold_difference / len(folds), resampled + fold_resampled / len(folds)
    low, high = interval(resampled)
    n_rows = sum(len(fold.label) for fold in folds)
    evidence = f"{metric.name} {difference:+.4g}, lower end {low:+.4g}, on {n_rows} rows of {len(folds)} folds"
    reason = (
        f"better than the default: {evidence}" if low > 0 else f"not better than the default for certain: {evidence}"
    )
    return Choice(
        candidate_better=low > 0,
        reason=reason,
        difference=difference,
        low=low,
        high=high,
        n_folds=len(folds),
        n_rows=n_rows,
    )
