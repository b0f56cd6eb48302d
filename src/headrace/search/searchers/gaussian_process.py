"""A Gaussian process with a Matérn-5/2 kernel: posterior, marginal likelihood, and the gradients of both.

| symbol | meaning | shape |
|---|---|---|
| F | inputs, the features of `cube` | [n, p] |
| owner | the parameter that each feature belongs to | [p] |
| y | losses, standardised | [n] |
| l | length scale of each parameter | [d] |
| s2, v | signal variance, noise variance | |
| t | log of (l_1 .. l_d, s2, v): what is fitted | [d + 2] |
| r | distance of two inputs, each feature divided by its parameter's length scale | |
| K | covariance of y: k(r) + v I | [n, n] |

    k(r) = s2 (1 + sqrt5 r + 5/3 r^2) exp(-sqrt5 r)             Rasmussen and Williams (2006), eq. 4.17
    mean = k*^T K^-1 y,   variance = s2 - k*^T K^-1 k*          eq. 2.25, 2.26 (of the loss without noise)
    log p(y) = -1/2 y^T K^-1 y - 1/2 log |K| - n/2 log 2 pi     eq. 2.30
    d log p / dt_i = 1/2 tr((a a^T - K^-1) dK/dt_i), a = K^-1 y eq. 5.9

The options of a parameter that has no order are indicators with one length scale (a Hamming distance).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, lapack
from scipy.optimize import minimize

from headrace.core.errors import HeadraceError
from headrace.search.searchers.cube import Array

_SQRT5 = math.sqrt(5)
#: Of log v: losses that a model cannot tell apart would make K singular.
_MIN_LOG_NOISE = math.log(1e-6)
_STEPS = 60
#: Numbers that are worked on at a time, 128 KiB.
_CACHED = 16_384


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Normal priors of t, as (mean, standard deviation). Length scales grow with the root of the number of parameters,
    so that many of them do not make all trials strangers (Hvarfner, Hellsten and Nardi, 2024); they are shorter than
    there, by measurement (ADR 0006)."""

    length: tuple[float, float] = (0.0, 1.0)
    signal: tuple[float, float] = (0.0, 1.0)
    noise: tuple[float, float] = (-4.0, 1.0)

    def moments(self, d: int) -> tuple[Array, Array]:
        """Means and standard deviations of t, [d + 2] each."""
        mean = np.array([self.length[0] + 0.5 * math.log(d)] * d + [self.signal[0], self.noise[0]])
        deviation = np.array([self.length[1]] * d + [self.signal[1], self.noise[1]])
        return mean, deviation


def squared_distances(A: Array, B: Array) -> Array:
    """[len(A), len(B)] of inputs that are divided by their length scales."""
    squared: Array = (-2 * A) @ B.T
    squared += (A**2).sum(axis=1)[:, None]
    squared += (B**2).sum(axis=1)
    return np.maximum(squared, 0.0, out=squared)


def matern(squared: Array, s2: float) -> Array:
    """k(r) of squared distances [m, n], which are lost. Some rows at a time: what a core's cache holds takes half of
    the time that a pass over all of them takes for each operation."""
    rows = max(1, _CACHED // squared.shape[1])
    for start in range(0, len(squared), rows):
        k = squared[start : start + rows]
        root = np.sqrt(k)
        root *= -_SQRT5
        k *= 5 / 3
        k -= root
        k += 1
        k *= np.exp(root, out=root)
        k *= s2
    return squared


def matern_with_slope(squared: Array, s2: float) -> tuple[Array, Array]:
    """k(r) and -dk/d(r^2/2) = 5/3 s2 (1 + sqrt5 r) exp(-sqrt5 r), of squared distances."""
    root = np.sqrt(squared)
    root *= _SQRT5
    fading = np.exp(-root)
    fading *= s2
    root += 1  # from here on 1 + sqrt5 r
    slope = fading * root
    slope *= 5 / 3
    squared = squared * (5 / 3)
    squared += root
    squared *= fading
    return squared, slope


def log_marginal(
    t: Array, F: Array, owner: np.ndarray[tuple[int], np.dtype[np.int64]], y: Array
) -> tuple[float, Array]:
    """log p(y) and its gradient [d + 2]; (-inf, 0) where K is not positive definite in floating point."""
    n, d = len(y), len(t) - 2
    s2, v = math.exp(t[d]), math.exp(t[d + 1])
    Z = F * np.exp(-t[:d])[owner]
    K, slope = matern_with_slope(squared_distances(Z, Z), s2)
    signal = K.copy()
    K[np.diag_indices(n)] += v
    L, failed = lapack.dpotrf(K, lower=1, clean=1)
    if failed:
        return -math.inf, np.zeros(d + 2)
    # not LAPACK's dpotri: OpenBLAS takes ten times as long for it as for these two
    half, _ = lapack.dtrtri(L, lower=1)
    inverse = half.T @ half
    a = inverse @ y
    value = -0.5 * y @ a - np.log(np.diag(L)).sum() - 0.5 * n * math.log(2 * math.pi)
    W = np.outer(a, a) - inverse
    # dK/dlog l_j = slope * (squared distance in j): the sum over pairs needs no matrix for each j.
    M = W * slope
    by_feature = 2 * (M.sum(axis=1) @ Z**2 - (Z * (M @ Z)).sum(axis=0))
    gradient = np.zeros(d + 2)
    np.add.at(gradient, owner, 0.5 * by_feature)
    gradient[d] = 0.5 * (W * signal).sum()
    gradient[d + 1] = 0.5 * v * np.trace(W)
    return float(value), gradient


def fit(
    F: Array, owner: np.ndarray[tuple[int], np.dtype[np.int64]], y: Array, d: int, prior: Prior | None = None
) -> Array:
    """t of the largest posterior density, by L-BFGS from the prior's mean and from shorter length scales."""
    mean, deviation = (prior or Prior()).moments(d)

    def negative(t: Array) -> tuple[float, Array]:
        value, gradient = log_marginal(t, F, owner, y)
        pull = (t - mean) / deviation
        return 0.5 * float(pull @ pull) - value, pull / deviation - gradient

    bounds = [(-5.0, 8.0)] * d + [(-6.0, 6.0), (_MIN_LOG_NOISE, 2.0)]
    shorter = mean.copy()
    shorter[:d] = math.log(0.5)
    found = [
        minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS})
        for start in (mean, shorter)
    ]
    best: Array = min(found, key=lambda result: float(result.fun)).x
    return best


class Posterior:
    """The process given y at F, for one t."""

    def __init__(self, t: Array, F: Array, owner: np.ndarray[tuple[int], np.dtype[np.int64]], y: Array) -> None:
        d = len(t) - 2
        self.s2 = math.exp(t[d])
        self._inverse_scale = np.exp(-t[:d])[owner]
        self._Z = F * self._inverse_scale
        K = matern(squared_distances(self._Z, self._Z), self.s2)
        K[np.diag_indices(len(y))] += math.exp(t[d + 1])
        L, failed = lapack.dpotrf(K, lower=1, clean=1)
        if failed:
            raise HeadraceError(
                "the covariance of the trials is singular", where="gp", fix="report this study's journal"
            )
        self._L = L
        self._a = cho_solve((L, True), y)
        #: The mean at F: y = K a, and K is k plus the noise.
        self.fitted: Array = y - math.exp(t[d + 1]) * self._a

    def predict(self, F: Array) -> tuple[Array, Array]:
        """Mean [m] and variance [m] of the loss without noise."""
        k = matern(squared_distances(F * self._inverse_scale, self._Z), self.s2)
        half = self._solved(k.T)
        return k @ self._a, np.maximum(self.s2 - (half**2).sum(axis=0), 1e-12 * self.s2)

    def gradient(self, F: Array) -> tuple[Array, Array, Array, Array]:
        """Mean [m], variance [m], and the gradients [m, p] of both at inputs [m, p]."""
        z = F * self._inverse_scale
        k, slope = matern_with_slope(squared_distances(z, self._Z), self.s2)
        # a few columns go through a matrix faster one by one
        half = np.array([self._inverse @ column for column in k])
        w = np.array([column @ self._inverse for column in half])
        variance = np.maximum(self.s2 - (half**2).sum(axis=1), 1e-12 * self.s2)
        # dk/dz_i = -slope_i (z - z_i), and the sum over i needs no array for each input
        by_mean, by_variance = slope * self._a, slope * w
        mean_gradient = (by_mean @ self._Z - by_mean.sum(axis=1)[:, None] * z) * self._inverse_scale
        variance_gradient = -2 * (by_variance @ self._Z - by_variance.sum(axis=1)[:, None] * z) * self._inverse_scale
        return k @ self._a, variance, mean_gradient, variance_gradient

    def _solved(self, right: Array) -> Array:
        """L^-1 times [n, m]; LAPACK's own call, for SciPy's checks take longer than a few columns do."""
        found, failed = lapack.dtrtrs(self._L, right, lower=1)
        assert not failed
        solved: Array = found
        return solved

    @cached_property
    def _inverse(self) -> Array:
        """L^-1 [n, n]: pays where a few columns are solved for at a time, again and again."""
        found, failed = lapack.dtrtri(self._L, lower=1)
        assert not failed
        inverse: Array = found
        return inverse
