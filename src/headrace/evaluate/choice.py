"""Choose between a study's best configuration and its default, by a paired bootstrap over days on several folds.

The best of many configurations on one window is selected partly by chance, and the default is good on most problems. So
the candidate replaces the default only where it is significantly better over all folds together.
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
    """Out-of-fold predictions of both configurations for the validation rows of one fold.

    Attributes:
        label: Labels [n].
        candidate: Predictions of the study's best configuration [n].
        fallback: Predictions of the default [n].
        cutoffs_us: Cutoffs [n], microseconds UTC.
    """

    label: Floats
    candidate: Floats
    fallback: Floats
    cutoffs_us: Groups


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The choice between candidate and fallback.

    Attributes:
        candidate_better: Whether the candidate is significantly better.
        reason: Why, with the numbers.
        difference: Metric of the candidate minus that of the fallback, mean over the folds; positive is better.
        low, high: Its 90 % interval.
        n_folds: Number of folds.
        n_rows: Validation rows of all folds.
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
    """Choose the candidate where the lower end of the interval of the mean difference is above 0.

    Args:
        metric: What to compare.
        folds: Predictions by fold.
        seed: Of the bootstrap.
        resamples: Number of bootstrap resamples.
    """
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
