"""Normal scores: numbers transformed by the reference's ranks, so that moments of skewed columns can be compared.

A value x becomes the normal quantile of its mid-distribution function in the reference, (P(X < x) + P(X <= x)) / 2
(van der Waerden scores; Parzen 2004 for ties), centred and scaled to mean 0 and variance 1 over the reference. Beyond
the reference's range, the score of its end grows by 1 for each standard deviation, and by at most 3. The transform is
interpolated between at most 1,024 quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from headrace.monitor.drift_tests.samples import Floats

Moment = Literal["mean", "spread"]

_KNOTS = 1_024
#: Most that a score grows by beyond the range; largest magnitude of a value.
_BEYOND, _LARGEST = 3.0, 1e150


@dataclass(frozen=True, eq=False)
class NormalScores:
    """The transform of one column.

    Attributes:
        knots: Distinct quantiles of the reference [k], increasing.
        scores: Normal score of each [k].
        centres: Moment -> mean over the reference of what the moment averages.
        scales: Moment -> its standard deviation over the reference; 0 where the reference is constant.
        deviation: Standard deviation of the values.
    """

    knots: Floats
    scores: Floats
    centres: dict[Moment, float]
    scales: dict[Moment, float]
    deviation: float

    @classmethod
    def fit(cls, reference: Floats) -> NormalScores:
        """Fit the transform to sorted finite values [n], n > 0."""
        from scipy.special import ndtri

        n = len(reference)
        knots = np.unique(reference[np.linspace(0, n - 1, _KNOTS).astype(np.int64)])
        below, up_to = (np.searchsorted(reference, knots, side=side) for side in ("left", "right"))
        scores = ndtri(np.clip((below + up_to) / (2 * n), 0.5 / n, 1 - 0.5 / n))
        raw = np.interp(reference, knots, scores)
        scale = float(raw.std())
        if scale < 1e-9:
            return cls(knots, scores, {"mean": 0.0, "spread": 0.0}, {"mean": 0.0, "spread": 0.0}, 0.0)
        scores = (scores - raw.mean()) / scale
        sizes = np.abs((raw - raw.mean()) / scale)
        spread = float(sizes.std())
        centres: dict[Moment, float] = {"mean": 0.0, "spread": float(sizes.mean())}
        scales: dict[Moment, float] = {"mean": 1.0, "spread": spread if spread > 1e-9 else 0.0}
        return cls(knots, scores, centres, scales, float(reference.std()))

    def transform(self, values: Floats) -> Floats:
        """Return the scores of values [n]; NaN stays NaN, an infinity is beyond the range."""
        scores = np.asarray(np.interp(values, self.knots, self.scores), dtype=np.float64)
        if self.deviation > 0:
            for outside, end in ((values > self.knots[-1], self.knots[-1]), (values < self.knots[0], self.knots[0])):
                if outside.any():
                    distance = (np.clip(values[outside], -_LARGEST, _LARGEST) - end) / self.deviation
                    scores[outside] += np.clip(distance, -_BEYOND, _BEYOND)
        return scores

    def terms(self, scores: Floats, moment: Moment) -> Floats:
        """Return what a moment averages [n]: the scores, or the absolute scores, standardised over the reference."""
        if moment == "mean":
            return scores
        return np.asarray((np.abs(scores) - self.centres[moment]) / self.scales[moment], dtype=np.float64)
