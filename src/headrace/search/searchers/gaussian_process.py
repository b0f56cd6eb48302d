"""Gaussian-process regression with a Matérn-5/2 kernel, for the searcher `gp`: posterior, likelihood, gradients.

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
#: Lower bound of log v: without noise, two configs that are almost equal make K singular.
_MIN_LOG_NOISE = math.log(1e-6)
_STEPS = 60
#: Numbers of one slice, 128 KiB: what a core's cache holds.
_CACHED = 16_384


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Normal priors of t, each as (mean, standard deviation).

    Length scales grow with the root of the number of parameters, so that configs stay correlated in many dimensions
    (Hvarfner, Hellsten and Nardi, 2024); they are shorter than in that paper, by measurement (ADR 0006).
    """

    length: tuple[float, float] = (0.0, 1.0)
    signal: tuple[float, float] = (0.0, 1.0)
    noise: tuple[float, float] = (-4.0, 1.0)

    def moments(self, d: int) -> tuple[Array, Array]:
        """Return the means and standard deviations of t, [d + 2] each."""
        mean = np.array([self.length[0] + 0.5 * math.log(d)] * d + [self.signal[0], self.noise[0]])
        deviation = np.array([self.length[1]] * d + [self.signal[1], self.noise[1]])
        return mean, deviation


def squared_distances(A: Array, B: Array) -> Array:
    """Compute squared distances [n, m] of inputs A [n, p] and B [m, p] that are divided by their length scales."""
    squared: Array = (-2 * A) @ B.T
    squared += (A**2).sum(axis=1)[:, None]
    squared += (B**2).sum(axis=1)
    return np.maximum(squared, 0.0, out=squared)


def matern(squared: Array, s2: float) -> Array:
    """Compute k(r) of squared distances [m, n], in place.

    Rows are processed in slices that fit a core's cache, which takes half the time of whole-matrix operations.
    """
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


def matern_with_derivative(squared: Array, s2: float) -> tuple[Array, Array]:
    """Compute k(r) and -dk/d(r^2/2) = 5/3 s2 (1 + sqrt5 r) exp(-sqrt5 r) of squared distances [m, n]."""
    root = np.sqrt(squared)
    root *= _SQRT5
    decay = np.exp(-root)
    decay *= s2
    root += 1  # from here on 1 + sqrt5 r
    derivative = decay * root
    derivative *= 5 / 3
    squared = squared * (5 / 3)
    squared += root
    squared *= decay
    return squared, derivative


def log_marginal(
    t: Array, F: Array, owner: np.ndarray[tuple[int], np.dtype[np.int64]], y: Array
) -> tuple[float, Array]:
    """Compute log p(y) and its gradient [d + 2]; (-inf, 0) where K is not positive definite in floating point."""
    n, d = len(y), len(t) - 2
    s2, v = math.exp(t[d]), math.exp(t[d + 1])
    Z = F * np.exp(-t[:d])[owner]
    K, derivative = matern_with_derivative(squared_distances(Z, Z), s2)
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
    M = W * derivative
    feature_gradient = 2 * (M.sum(axis=1) @ Z**2 - (Z * (M @ Z)).sum(axis=0))
    gradient = np.zeros(d + 2)
    np.add.at(gradient, owner, 0.5 * feature_gradient)
    gradient[d] = 0.5 * (W * signal).sum()
    gradient[d + 1] = 0.5 * v * np.trace(W)
    return float(value), gradient


def fit(
    F: Array, owner: np.ndarray[tuple[int], np.dtype[np.int64]], y: Array, d: int, prior: Prior | None = None
) -> Array:
    """Find the t of largest posterior density, by L-BFGS from the prior's mean and from shorter length scales."""
    mean, deviation = (prior or Prior()).moments(d)

    def negative(t: Array) -> tuple[float, Array]:
        value, gradient = log_marginal(t, F, owner, y)
        deviations = (t - mean) / deviation
        return 0.5 * float(deviations @ deviations) - value, deviations / deviation - gradient

    bounds = [(-5.0, 8.0)] * d + [(-6.0, 6.0), (_MIN_LOG_NOISE, 2.0)]
    short_scales = mean.copy()
    short_scales[:d] = math.log(0.5)
    optima = [
        minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS})
        for start in (mean, short_scales)
    ]
    best: Array = min(optima, key=lambda result: float(result.fun)).x
    return best


class Posterior:
    """The Gaussian process conditioned on y at F, for one t."""

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
        #: Posterior mean at F: y = K a, and K is k plus the noise.
        self.fitted: Array = y - math.exp(t[d + 1]) * self._a

    def predict(self, F: Array) -> tuple[Array, Array]:
        """Compute the posterior mean [m] and variance [m] of the noiseless loss at inputs F [m, p]."""
        k = matern(squared_distances(F * self._inverse_scale, self._Z), self.s2)
        half = self._solve_triangular(k.T)
        return k @ self._a, np.maximum(self.s2 - (half**2).sum(axis=0), 1e-12 * self.s2)

    def gradient(self, F: Array) -> tuple[Array, Array, Array, Array]:
        """Compute mean [m], variance [m] and their gradients [m, p] at inputs F [m, p]."""
        z = F * self._inverse_scale
        k, derivative = matern_with_derivative(squared_distances(z, self._Z), self.s2)
        # For a few columns, single products are faster than one matrix product.
        half = np.array([self._inverse @ column for column in k])
        w = np.array([column @ self._inverse for column in half])
        variance = np.maximum(self.s2 - (half**2).sum(axis=1), 1e-12 * self.s2)
        # dk/dz_i = -derivative_i (z - z_i); the sum over i needs no array for each input.
        mean_weights, variance_weights = derivative * self._a, derivative * w
        mean_gradient = (mean_weights @ self._Z - mean_weights.sum(axis=1)[:, None] * z) * self._inverse_scale
        variance_gradient = (
            -2 * (variance_weights @ self._Z - variance_weights.sum(axis=1)[:, None] * z) * self._inverse_scale
        )
        return k @ self._a, variance, mean_gradient, variance_gradient

    def _solve_triangular(self, right: Array) -> Array:
        """Solve L x = right [n, m] with LAPACK directly: SciPy's checks take longer than a few columns do."""
        solution, failed = lapack.dtrtrs(self._L, right, lower=1)
        assert not failed
        result: Array = solution
        return result

    @cached_property
    def _inverse(self) -> Array:
        """L^-1 [n, n]: pays where a few columns are solved for at a time, again and again."""
        solution, failed = lapack.dtrtri(self._L, lower=1)
        assert not failed
        inverse: Array = solution
        return inverse
