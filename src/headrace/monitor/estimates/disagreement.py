"""Measure how far the predictions of champion and shadow differ on the same rows, without labels, for reports.

A shadow fitted on newer rows disagrees with the champion where the relation between features and label has changed, or
where either is uncertain. The disagreement is compared with that on reference rows where there are any. If the shadow's
probabilities are right, the champion's expected log loss exceeds the shadow's by the Kullback-Leibler divergence; if
its means are right, the squared error does by the squared difference.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from headrace.evaluate.gate import resample_groups

Floats = NDArray[np.float64]
_RESAMPLES, _SMALLEST, _MIN_ROWS = 200, 1e-6, 30


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """The difference of two models' predictions on one window.

    Attributes:
        mean: Mean absolute difference.
        low, high: Its 90 % interval, from a bootstrap by day.
        correlation: Rank correlation of the predictions (Spearman 1904); NaN where one side is constant.
        decisions: Share of rows on different sides of the threshold; None without a threshold.
        implied_loss: By how much the champion's expected loss exceeds the shadow's if the shadow is right: log loss,
            or squared error.
        reference: Mean absolute difference on the reference, None without one.
        rows: Number of rows.
    """

    mean: float
    low: float
    high: float
    correlation: float
    decisions: float | None
    implied_loss: float
    reference: float | None
    rows: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def disagreement(
    champion: Floats,
    shadow: Floats,
    cutoffs_us: NDArray[np.int64],
    *,
    binary: bool,
    threshold: float | None = None,
    reference: tuple[Floats, Floats] | None = None,
    seed: int = 0,
) -> Disagreement | None:
    """Compare two models' predictions of the same rows.

    Args:
        champion, shadow: Predictions [n]; rows where either is NaN are left out.
        cutoffs_us: Cutoffs [n], microseconds UTC.
        binary: Whether predictions are probabilities.
        threshold: Probability from which a prediction counts as true.
        reference: Predictions of both models on reference rows [k], [k].
        seed: Of the bootstrap.

    Returns:
        The disagreement; None with fewer than 30 rows.
    """
    both = np.isfinite(champion) & np.isfinite(shadow)
    p, q = champion[both], shadow[both]
    if len(p) < _MIN_ROWS:
        return None
    difference = np.abs(p - q)
    groups = resample_groups(cutoffs_us[both])[1]
    count = int(groups.max()) + 1
    draws = np.random.default_rng([seed, len(p)]).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    sums, rows = np.bincount(groups, weights=difference), np.bincount(groups)
    low, high = np.quantile((draws @ sums) / (draws @ rows), [0.05, 0.95])
    constant = bool(np.ptp(p) == 0 or np.ptp(q) == 0)
    return Disagreement(
        mean=float(difference.mean()),
        low=float(low),
        high=float(high),
        correlation=float("nan") if constant else float(stats.spearmanr(p, q).statistic),
        decisions=None if threshold is None else float(((p >= threshold) != (q >= threshold)).mean()),
        implied_loss=float(_implied_loss(p, q, binary).mean()),
        reference=None if reference is None else float(np.abs(reference[0] - reference[1]).mean()),
        rows=len(p),
    )


def _implied_loss(p: Floats, q: Floats, binary: bool) -> Floats:
    if not binary:
        return np.asarray((p - q) ** 2, dtype=np.float64)
    p, q = np.clip(p, _SMALLEST, 1 - _SMALLEST), np.clip(q, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)), dtype=np.float64)
