"""Variances moderated over columns by empirical Bayes: many columns tell what a variance from few windows cannot.

Smyth (2004), as in limma's `fitFDist`: variances s^2 with d degrees of freedom are s0^2 F(d, d0) over columns, and the
moderated variance is (d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom. d0 and s0 come from the mean and
variance of log s^2, through the digamma and trigamma functions. Columns are correlated, unlike limma's genes: their
variances share luck, which the variance of log s^2 over columns does not show. Its expectation is therefore taken times
1 - mean r^2 (r between columns' window means), and d0 + d is at most d times the effective number of columns,
c^2 / sum r^2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headrace.monitor.drift_tests.samples import Floats

_LARGEST = 1e6


class Prior(NamedTuple):
    """What the columns say about a variance. freedom: d0, 0 says nothing. variance: s0^2."""

    freedom: float
    variance: float

    def moderate(self, variance: Floats, freedom: Floats) -> tuple[Floats, Floats]:
        """Return moderated variances [c] and their degrees of freedom [c]."""
        total = self.freedom + freedom
        return (self.freedom * self.variance + freedom * variance) / total, total


def fit_prior(variances: Floats, freedoms: Floats, squared_correlation: float = 0.0) -> Prior:
    """Fit the prior of variances by the moments of their logarithms.

    Args:
        variances: s^2 of each column [c]; those that are not positive are left out.
        freedoms: d of each [c].
        squared_correlation: Mean r^2 between different columns, 0 to 1.

    Returns:
        A prior of freedom 0 for fewer than three columns.
    """
    from scipy.special import digamma, polygamma

    keep = (variances > 0) & (freedoms > 0)
    count, halves = int(keep.sum()), freedoms[keep] / 2
    if count < 3:
        return Prior(0.0, 1.0)
    centred = np.log(variances[keep]) - digamma(halves) + np.log(halves)
    level = float(centred.mean())
    shared = 1 - min(max(squared_correlation, 0.0), 1.0)
    excess = float(centred.var(ddof=1)) - float(polygamma(1, halves).mean()) * shared
    columns = count / (1 + (count - 1) * (1 - shared))
    most = max(float(np.median(freedoms[keep])) * (columns - 1), 0.0)
    if excess <= 0:
        return Prior(most, float(np.exp(level)))
    freedom = min(2 * trigamma_inverse(excess), _LARGEST)
    variance = float(np.exp(level + digamma(freedom / 2) - np.log(freedom / 2)))
    return Prior(min(freedom, most), variance)


def trigamma_inverse(value: float) -> float:
    """Return x > 0 with trigamma(x) = value > 0, by Newton's method on 1 / trigamma (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    if value > 1e7:
        return float(1 / np.sqrt(value))
    if value < 1e-6:
        return 1 / value
    x: float = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-10:
            break
    return float(x)


def mean_squared_correlation(values: Floats) -> float:
    """Return the mean squared correlation of different columns of values [B, c], less what B rows have by chance."""
    centred = values - values.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    unit = centred[:, norms > 0] / norms[norms > 0]
    rows, count = unit.shape
    if count < 2 or rows < 4:
        return 0.0
    squared = float(((unit.T @ unit) ** 2).sum() - count) / (count * (count - 1))
    chance = 1 / (rows - 1)
    return float(max(0.0, (squared - chance) / (1 - chance)))
