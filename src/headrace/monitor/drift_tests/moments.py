"""Differences of a window's mean and spread from the reference's, in standard deviations of its normal scores.

Unlike shares of cells, a mean uses the order of the cells, and all rows towards one direction: it detects a smaller
shift, and measures a larger one, than a table does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.monitor.drift_tests.protocol import Measure
from headrace.monitor.drift_tests.samples import Floats, Kind, Pair
from headrace.monitor.drift_tests.scores import Moment


@dataclass(frozen=True)
class MomentTest:
    """A drift test of one moment.

    Attributes:
        name: Which moment: the mean of the normal scores, or their mean absolute size ("spread").
        floor: Smallest difference that matters, standard deviations.
        kinds: Kinds of columns that it takes.
    """

    name: Moment
    floor: float
    kinds: frozenset[Kind] = frozenset({"numeric"})

    def score(self, pair: Pair) -> float:
        if not pair.scores.scales[self.name]:
            return 0.0
        reference, current = self._terms(pair)
        return float(abs(current.mean() - reference.mean()))

    def measure(self, pair: Pair, *, seed: int) -> Measure:
        """Compare with the normal distribution of the difference of two means of independent rows."""
        from scipy import stats

        if not pair.scores.scales[self.name]:
            return Measure(score=0.0, p_value=1.0, effect=0.0)
        reference, current = self._terms(pair)
        n, m = pair.sizes
        means, squares = (
            [side.mean() for side in (reference, current)],
            [(side**2).sum() for side in (reference, current)],
        )
        score = float(abs(means[1] - means[0]))
        # The variance of the pooled rows is the one that shuffling them has.
        pooled = max(float(sum(squares) / (n + m) - ((n * means[0] + m * means[1]) / (n + m)) ** 2), 0.0)
        variance = pooled * (1 / n + 1 / m)
        p_value = 2 * float(stats.norm.sf(score / np.sqrt(variance))) if variance else 1.0
        return Measure(score=score, p_value=min(1.0, p_value), effect=float(np.sqrt(max(0.0, score**2 - variance))))

    def _terms(self, pair: Pair) -> tuple[Floats, Floats]:
        first, second = (pair.scores.terms(side[np.isfinite(side)], self.name) for side in pair.score_rows)
        return first, second


#: A mean that differs by less than .16 standard deviations does not matter; nor a spread by less than a fifth of it.
MEAN = MomentTest("mean", 0.16)
SPREAD = MomentTest("spread", 0.25)
