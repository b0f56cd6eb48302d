"""Searcher `tpe`: multivariate Tree-structured Parzen Estimator (Bergstra et al. 2011; multivariate as in BOHB, 2018).

The n trials are split into good and bad ones by loss. Each group is a mixture of one kernel per trial and one uniform
kernel; the proposed config is the sample of the good group's density l with the largest ratio l / g, g the bad group's.

| symbol | meaning | shape |
|---|---|---|
| X | candidates, as in `cube` | [m, d] |
| C | centres: the trials of a group | [k, d] |
| s | width of a kernel in a parameter | [k, d] |

A kernel is a distribution over the whole conditional space: a product over the parameters active in the candidate. In
each the factor is a normal truncated to [0, 1] (numbers) or a smoothed indicator (options) where the centre has the
parameter, else uniform. So only trials in which a parameter is active inform its density, and trials of different
branches are comparable. Pending configs count as bad trials (constant liar), so that parallel proposals differ.

The log-density of all kernels is one matrix product, log k = F(X) @ G(C)^T, since a normal's exponent is
-(x^2 - 2 x c + c^2) / 2 s^2; a proposal takes about a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from headrace.search.searchers.cube import Array, Cube
from headrace.search.searchers.history import HistoryEncoder
from headrace.search.searchers.startup_design import best_candidate
from headrace.search.space import Config, Space, require_searchable
from headrace.search.trial import Trial

IntArray = NDArray[np.int64]

#: Scott's rule times this, by measurement (ADR 0006).
_WIDTH = 0.3


class TpeSearcher:
    """Multivariate TPE after `startup` space-filling trials.

    Args:
        space: What to search.
        startup: Trials before the first model.
        candidates: Samples of l of which the one with the largest l / g is proposed.
        share: The good group is the ceil(share * n) trials of least loss (gamma in the paper) ...
        most: ... but no more than this.
    """

    name = "tpe"

    def __init__(
        self,
        space: Space,
        *,
        startup: int = 8,
        candidates: int = 32,
        share: float = 0.12,
        most: int = 25,
    ) -> None:
        require_searchable(space)
        self.space = space
        self.startup = startup
        self.candidates = candidates
        self.share = share
        self.most = most
        self._cube = Cube(space)
        self._history = HistoryEncoder(self._cube)

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        cube = self._cube
        encoded = self._history.encode_history(history)
        pending_rows = cube.encode(pending)
        proposed = self._history.proposed_identities(history, pending_rows)
        order = np.argsort(encoded.losses, kind="stable")
        count = min(math.ceil(self.share * len(order)), self.most)
        configs: list[Config] = []
        for _ in range(n):
            if len(encoded.losses) + len(pending_rows) < self.startup or not len(encoded.losses):
                row = best_candidate(cube, np.concatenate([encoded.X, pending_rows]), proposed, rng)
            else:
                good = Mixture(cube, encoded.X[order[:count]])
                bad = Mixture(cube, np.concatenate([encoded.X[order[count:]], pending_rows]))
                row = self._propose(good, bad, proposed, rng)
            proposed.update(cube.identities(row[None]))
            pending_rows = np.concatenate([pending_rows, row[None]])
            configs.append(cube.decode(row))
        return configs

    def _propose(self, good: Mixture, bad: Mixture, proposed: set[bytes], rng: np.random.Generator) -> Array:
        X = good.sample(self.candidates, rng)
        ratio = good.log_density(X) - bad.log_density(X)
        identities = self._cube.identities(X)
        unused = [i for i, identity in enumerate(identities) if identity not in proposed]
        if not unused:
            return best_candidate(self._cube, X, proposed, rng)
        best_row: Array = X[unused][int(np.argmax(ratio[unused]))]
        return best_row


class Mixture:
    """A mixture density: kernels around centres C [k, d] and a uniform one, of equal weight.

    _numbers: columns of X that hold numbers. _level, _owner: each option of each other column, and that column.
    """

    def __init__(self, cube: Cube, centres: Array) -> None:
        self.cube = cube
        self.centres = np.vstack([centres, np.full((1, cube.d), np.nan)])
        self._numbers = np.flatnonzero(cube.numeric)
        self._named = np.flatnonzero(~cube.numeric)
        self._widths = _widths(cube, len(centres))[self._numbers]
        self._owner = np.repeat(self._named, cube.options[self._named])
        self._level = np.concatenate([np.arange(options) for options in cube.options[self._named]] or [np.empty(0)])

    def sample(self, m: int, rng: np.random.Generator) -> Array:
        """Draw m samples [m, d]; a parameter that is inactive in the kernel's centre is drawn uniformly."""
        X = self.centres[rng.integers(len(self.centres), size=m)]
        X[:, self._numbers] = _sample_truncated_normal(X[:, self._numbers], self._widths, rng)
        options = self.cube.options[self._named]
        resampled = rng.random((m, len(options))) >= self._keep_probability(options)
        X[:, self._named] = np.where(resampled, rng.integers(options, size=resampled.shape), X[:, self._named])
        return self.cube.prune(self.cube.snap(X), rng)

    def _keep_probability(self, options: IntArray) -> Array:
        """Probability that a kernel returns its centre's option rather than a uniform one."""
        k = len(self.centres)
        probability: Array = k / (k + options)
        return probability

    def log_density(self, X: Array) -> Array:
        """Compute the log-density [m] of X [m, d], relative to the uniform density in each numeric parameter."""
        kernels = self._log_kernels(X)
        top = kernels.max(axis=1)
        kernels -= top[:, None]
        total: Array = np.log(np.exp(kernels, out=kernels).sum(axis=1)) + top - math.log(len(self.centres))
        return total

    def _log_kernels(self, X: Array) -> Array:
        """[m, k + 1] = F(X) @ G(C)^T"""
        x, c = X[:, self._numbers], self.centres[:, self._numbers]
        x_active, c_active = ~np.isnan(x), ~np.isnan(c)
        x, c = np.where(x_active, x, 0.0), np.where(c_active, c, 0.0)
        s = self._widths
        mass = ndtr((1 - c) / s) - ndtr(-c / s)
        constant = -(c**2) / (2 * s**2) - np.log(s * math.sqrt(2 * math.pi) * mass)
        candidate_terms = (x**2, x, x_active, X[:, self._owner] == self._level)
        kernel_terms = (c_active * (-0.5 / s**2), c_active * (c / s**2), c_active * constant, self._log_shares())
        product: Array = np.concatenate(candidate_terms, axis=1) @ np.concatenate(kernel_terms, axis=1).T
        return product

    def _log_shares(self) -> Array:
        """Log-probability of each option under each kernel, [k + 1, options of all columns]."""
        options = self.cube.options[self._owner]
        keep = self._keep_probability(options)
        centres = self.centres[:, self._owner]
        log_other = np.log((1 - keep) / options)
        log_own = np.log(keep + (1 - keep) / options)
        shares: Array = np.where(
            np.isnan(centres), -np.log(options), np.where(centres == self._level, log_own, log_other)
        )
        return shares


def _widths(cube: Cube, k: int) -> Array:
    """Kernel widths s [d]: Scott's rule, bounded below by the resolution of k trials and half a cell of an integer."""
    scott = _WIDTH * max(k, 1) ** (-1 / (cube.d + 4))
    floor = 1 / min(100, 2 + k)
    return np.array([max(scott, floor, 0.5 / column.n_values) for column in cube.columns])


def _sample_truncated_normal(centres: Array, widths: Array, rng: np.random.Generator) -> Array:
    """Sample normals of widths [j] truncated to [0, 1] around centres [m, j], by inversion; NaN stays."""
    low, high = ndtr(-centres / widths), ndtr((1 - centres) / widths)
    samples: Array = centres + widths * ndtri(low + rng.random(centres.shape) * (high - low))
    return np.clip(samples, 0.0, 1.0)
