"""Expected improvement below the best loss, as its logarithm: far from the best it is too small for a float, and flat.

    EI = s h(u),  u = (best - mean) / s,  h(u) = phi(u) + u Phi(u)          Jones, Schonlau and Welch (1998)

log h is computed as in Ament, Daulton, Eriksson, Balandat and Bakshy (2023), eq. 9: for u < -1 as
-u^2/2 - log(2 pi)/2 + log(1 - |u| sqrt(pi/2) erfcx(|u|/sqrt2)), and far out by its limit, -2 log |u| for the last term.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from headrace.search.searchers.cube import Array

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
#: Below this u, 1 - |u| sqrt(pi/2) erfcx(|u|/sqrt2) = 1/u^2 - 3/u^4 + .. is better taken from its series.
_FAR = -200.0


def log_h(u: Array) -> Array:
    """log(phi(u) + u Phi(u)), exact to about 1e-9 of itself for any u."""
    u = np.asarray(u, dtype=np.float64)
    near = np.maximum(u, -1.0)
    middle = np.clip(-u, 1.0, -_FAR)
    far = np.maximum(-u, -_FAR)
    tail = 1 - middle * math.sqrt(math.pi / 2) * erfcx(middle / math.sqrt(2))
    found: Array = np.where(
        u > -1,
        np.log(np.exp(-0.5 * near**2 - _LOG_ROOT_2PI) + near * ndtr(near)),
        np.where(
            u > _FAR,
            -0.5 * middle**2 - _LOG_ROOT_2PI + np.log(tail),
            -0.5 * far**2 - _LOG_ROOT_2PI - 2 * np.log(far) + np.log1p(-3 / far**2),
        ),
    )
    return found


def log_expected_improvement(mean: Array, variance: Array, best: float) -> Array:
    """[m]; -inf nowhere."""
    s = np.sqrt(variance)
    found: Array = log_h((best - mean) / s) + np.log(s)
    return found


def with_slopes(mean: Array, variance: Array, best: float) -> tuple[Array, Array, Array]:
    """log EI [m], d log EI / d mean and d log EI / d variance: -Phi/(s h) and phi/(2 s^2 h)."""
    s = np.sqrt(variance)
    u = (best - mean) / s
    log = log_h(u)
    by_mean: Array = -np.exp(log_ndtr(u) - log) / s
    by_variance: Array = np.exp(-0.5 * u * u - _LOG_ROOT_2PI - log) / (2 * variance)
    return log + np.log(s), by_mean, by_variance
