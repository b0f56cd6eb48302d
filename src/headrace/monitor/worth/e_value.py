"""Test sequentially whether the mean of a daily series is positive, without knowing its variance, for the verdict.

An e-value is a nonnegative statistic whose mean is at most 1 without an effect, so it exceeds 1 / a with probability
a at most. The one here is a Bayes factor of the t-test, in closed form; as a process in n its bound holds at all n at
once (anytime-valid), so a look on every day costs nothing.

| symbol | meaning                                                                                     |
|--------|---------------------------------------------------------------------------------------------|
| x [n]  | daily values; under the null hypothesis of mean 0 or less                                   |
| S, V   | sum of x, sum of x^2                                                                        |
| c^2    | the effect mean / sd has the prior N(0, 1 / c^2), restricted to positive effects            |
| phi    | autocorrelation of successive days                                                          |
| m      | effective number of days, n (1 - phi) / (1 + phi): as many independent days know as much    |

    E = 2 sqrt(c^2 / (m + c^2)) (V / Q)^(m/2) T_m(S_m / (m + c^2) sqrt((m + c^2) m / Q)),   Q = V - S_m^2 / (m + c^2)

with S_m, V of m days of the same mean and mean square, and T_m Student's distribution function. The first factors are
the two-sided test (Lai 1976; Wang and Ramdas 2023, "Anytime-valid t-tests and confidence sequences for Gaussian means
with unknown variance"); the last one is the posterior probability of a positive mean. Days are not independent, so
n is replaced by m. That the bound survives this, for phi up to .8, is a simulation's result (tests/monitor).
"""

from __future__ import annotations

import numpy as np

from headrace.evaluate.metrics import Floats

#: Prior precision of mean / sd of a day: effects of about .7 standard deviations of a day are expected.
PRIOR_PRECISION = 2.0
_LARGEST_AUTOCORRELATION = 0.95
#: The correction needs more than four.
_FEWEST_DAYS = 5


def e_value(values: Floats, autocorrelation: float = 0.0) -> float:
    """Compute the e-value against a mean of zero or less.

    Args:
        values: Daily values [n].
        autocorrelation: Of successive days, from `autocorrelation`; 0 is an exact test for independent Gaussian days.

    Returns:
        The e-value; 1 without information (no values, or only zeros).
    """
    from scipy.special import stdtr

    n, c2 = len(values) * effective_share(autocorrelation), PRIOR_PRECISION
    scale = float(np.abs(values).max(initial=0.0))
    if not n or not scale:
        return 1.0
    mean, square = float(np.mean(values / scale)), float(np.mean((values / scale) ** 2))
    total, squares = mean * n, square * n
    rest = max(squares - total**2 / (n + c2), np.finfo(np.float64).tiny)
    log_two_sided = 0.5 * np.log(c2 / (n + c2)) + 0.5 * n * np.log(squares / rest)
    positive = float(stdtr(n, total / (n + c2) * np.sqrt((n + c2) * n / rest)))
    return float(2 * positive * np.exp(min(log_two_sided, 700.0)))


def effective_share(autocorrelation: float) -> float:
    """Return the effective number of days of a first-order autoregression, as a share of its days."""
    return (1 - autocorrelation) / (1 + autocorrelation)


def autocorrelation(values: Floats) -> float:
    """Estimate the autocorrelation of successive days about their linear trend, corrected for its bias.

    A gain that grows as the champion ages is no dependence between days: without the trend it would look like one, and
    the evidence would shrink while the gain grows. The correction is that of a short series about a fitted line
    (Kendall 1954; Marriott and Pope 1954): the estimate is (2 + 4 phi) / n too low.

    Args:
        values: Daily values [n].

    Returns:
        Between 0 and .95: a negative autocorrelation is not used, because it would add evidence.
    """
    n = len(values)
    if n < _FEWEST_DAYS:
        return _LARGEST_AUTOCORRELATION
    day = np.arange(n) - (n - 1) / 2
    centred = values - values.mean()
    rest = centred - (centred @ day) / (day @ day) * day
    variance = float(rest @ rest)
    raw = float(rest[1:] @ rest[:-1]) / variance if variance > 0 else 0.0
    return float(np.clip((raw + 2 / n) / (1 - 4 / n), 0.0, _LARGEST_AUTOCORRELATION))
