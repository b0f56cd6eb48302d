"""Logarithm of the expected improvement on the best loss, for the Gaussian process and the random forest.

    EI = s h(u),  u = (best - mean) / s,  h(u) = phi(u) + u Phi(u)          Jones, Schonlau and Welch (1998)

log h is computed as in Ament, Daulton, Eriksson, Balandat and Bakshy (2023), eq. 9: for u < -1 as
-u^2/2 - log(2 pi)/2 + log(1 - |u| sqrt(pi/2) erfcx(|u|/sqrt2)), and for very small u by its limit, -2 log |u| for the
last term. EI itself underflows there, and its gradient vanishes.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from headrace.search.searchers.cube import Array

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
#: Below this u, 1 - |u| sqrt(pi/2) erfcx(|u|/sqrt2) = 1/u^2 - 3/u^4 + .. is computed from its series.
_ASYMPTOTIC = -200.0


def log_h(u: Array) -> Array:
    """Compute log(phi(u) + u Phi(u)) with a relative error of about 1e-9 for any u."""
    u = np.asarray(u, dtype=np.float64)
    u_direct = np.maximum(u, -1.0)
    x_scaled = np.clip(-u, 1.0, -_ASYMPTOTIC)
    x_asymptotic = np.maximum(-u, -_ASYMPTOTIC)
    tail = 1 - x_scaled * math.sqrt(math.pi / 2) * erfcx(x_scaled / math.sqrt(2))
    log_values: Array = np.where(
        u > -1,
        np.log(np.exp(-0.5 * u_direct**2 - _LOG_ROOT_2PI) + u_direct * ndtr(u_direct)),
        np.where(
            u > _ASYMPTOTIC,
            -0.5 * x_scaled**2 - _LOG_ROOT_2PI + np.log(tail),
            -0.5 * x_asymptotic**2 - _LOG_ROOT_2PI - 2 * np.log(x_asymptotic) + np.log1p(-3 / x_asymptotic**2),
        ),
    )
    return log_values


def log_expected_improvement(mean: Array, variance: Array, best: float) -> Array:
    """Compute log EI [m], always finite, from posterior mean [m] and variance [m] and the best loss."""
    s = np.sqrt(variance)
    log_ei: Array = log_h((best - mean) / s) + np.log(s)
    return log_ei


def log_expected_improvement_with_gradient(mean: Array, variance: Array, best: float) -> tuple[Array, Array, Array]:
    """Compute log EI [m] with d log EI / d mean = -Phi/(s h) and d log EI / d variance = phi/(2 s^2 h)."""
    s = np.sqrt(variance)
    u = (best - mean) / s
    log_h_u = log_h(u)
    mean_derivative: Array = -np.exp(log_ndtr(u) - log_h_u) / s
    variance_derivative: Array = np.exp(-0.5 * u * u - _LOG_ROOT_2PI - log_h_u) / (2 * variance)
    return log_h_u + np.log(s), mean_derivative, variance_derivative
