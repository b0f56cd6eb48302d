"""Tree-structured Parzen estimator (Bergstra et al., 2011), all parameters at once (as BOHB and Optuna have it).

The n trials are split into good and bad ones. Each group is a mixture of one kernel per trial and one flat one; the
config proposed is the draw from the good group's mixture l with the largest l / g, g being the bad group's.

| symbol | meaning | shape |
|---|---|---|
| X | candidates, as in `cube` | [m, d] |
| C | centres: the trials of a group | [k, d] |
| s | width of a kernel in a parameter | [k, d] |

A kernel is a distribution over the whole conditional space: a product over the parameters active in the candidate. In
each the factor is a normal cut to [0, 1] (numbers) or a smoothed indicator (options) where the centre has the
parameter, else flat. So a parameter is judged by the trials that had it, and trials of several branches are comparable.
Pending configs are bad trials (constant liar), which sends parallel workers elsewhere.

All factors of all kernels are one product of two small matrices: log k = F(X) @ G(C)^T, since a normal's exponent is
-(x^2 - 2 x c + c^2) / 2 s^2. That is what makes a suggestion take a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from headrace.search.searchers.cube import Array, Cube
from headrace.search.searchers.evidence import Reader
from headrace.search.searchers.startup import spread
from headrace.search.space import Config, Space, require_searchable
from headrace.search.trial import Trial

Whole = NDArray[np.int64]

#: Scott's rule times this, by measurement (ADR 0006).
_WIDTH = 0.3


class TpeSearcher:
    """Multivariate TPE after `startup` trials that are spread over the space.

    candidates: draws from l. share, most: the good group is ceil(share * n) trials, but no more than `most`.
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
        self._reader = Reader(self._cube)

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        cube = self._cube
        known = self._reader.read(history)
        waiting = cube.encode(pending)
        used = self._reader.taken(history, waiting)
        order = np.argsort(known.losses, kind="stable")
        count = min(math.ceil(self.share * len(order)), self.most)
        asked: list[Config] = []
        for _ in range(n):
            if len(known.losses) + len(waiting) < self.startup or not len(known.losses):
                row = spread(cube, np.concatenate([known.X, waiting]), used, rng)
            else:
                good = Mixture(cube, known.X[order[:count]])
                bad = Mixture(cube, np.concatenate([known.X[order[count:]], waiting]))
                row = self._best(good, bad, used, rng)
            used.update(cube.identities(row[None]))
            waiting = np.concatenate([waiting, row[None]])
            asked.append(cube.decode(row))
        return asked

    def _best(self, good: Mixture, bad: Mixture, used: set[bytes], rng: np.random.Generator) -> Array:
        X = good.sample(self.candidates, rng)
        ratio = good.log_density(X) - bad.log_density(X)
        identities = self._cube.identities(X)
        fresh = [i for i, identity in enumerate(identities) if identity not in used]
        if not fresh:
            return spread(self._cube, X, used, rng)
        best: Array = X[fresh][int(np.argmax(ratio[fresh]))]
        return best


class Mixture:
    """Kernels around centres C [k, d] and a flat one, all of the same weight.

    numbers: columns of X that hold numbers; level, owner: each option of each other column, and that column.
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
        """m draws [m, d]; what the drawn centre has no value for is drawn flat."""
        X = self.centres[rng.integers(len(self.centres), size=m)]
        X[:, self._numbers] = _cut_normal(X[:, self._numbers], self._widths, rng)
        options = self.cube.options[self._named]
        redrawn = rng.random((m, len(options))) >= self._kept(options)
        X[:, self._named] = np.where(redrawn, rng.integers(options, size=redrawn.shape), X[:, self._named])
        return self.cube.prune(self.cube.snap(X), rng)

    def _kept(self, options: Whole) -> Array:
        """How likely a kernel keeps its centre's option instead of drawing any."""
        k = len(self.centres)
        kept: Array = k / (k + options)
        return kept

    def log_density(self, X: Array) -> Array:
        """[m], in each number relative to flat; where the truth is -inf (a centre outside) it does not occur."""
        kernels = self._log_kernels(X)
        top = kernels.max(axis=1)
        kernels -= top[:, None]
        total: Array = np.log(np.exp(kernels, out=kernels).sum(axis=1)) + top - math.log(len(self.centres))
        return total

    def _log_kernels(self, X: Array) -> Array:
        """[m, k + 1] = F(X) @ G(C)^T"""
        x, c = X[:, self._numbers], self.centres[:, self._numbers]
        here, there = ~np.isnan(x), ~np.isnan(c)
        x, c = np.where(here, x, 0.0), np.where(there, c, 0.0)
        s = self._widths
        mass = ndtr((1 - c) / s) - ndtr(-c / s)
        constant = -(c**2) / (2 * s**2) - np.log(s * math.sqrt(2 * math.pi) * mass)
        left = (x**2, x, here, X[:, self._owner] == self._level)
        right = (there * (-0.5 / s**2), there * (c / s**2), there * constant, self._log_shares())
        product: Array = np.concatenate(left, axis=1) @ np.concatenate(right, axis=1).T
        return product

    def _log_shares(self) -> Array:
        """[k + 1, options of all columns]: log of how likely each kernel makes an option."""
        options = self.cube.options[self._owner]
        kept = self._kept(options)
        centres = self.centres[:, self._owner]
        off = np.log((1 - kept) / options)
        on = np.log(kept + (1 - kept) / options)
        shares: Array = np.where(np.isnan(centres), -np.log(options), np.where(centres == self._level, on, off))
        return shares


def _widths(cube: Cube, k: int) -> Array:
    """s [d]: Scott's rule, but no narrower than k trials, or half a cell of a whole number, can tell apart."""
    scott = _WIDTH * max(k, 1) ** (-1 / (cube.d + 4))
    floor = 1 / min(100, 2 + k)
    return np.array([max(scott, floor, 0.5 / column.values) for column in cube.columns])


def _cut_normal(centres: Array, widths: Array, rng: np.random.Generator) -> Array:
    """Draws [m, j] from normals of widths [j] cut to [0, 1], by inversion; NaN stays."""
    low, high = ndtr(-centres / widths), ndtr((1 - centres) / widths)
    drawn: Array = centres + widths * ndtri(low + rng.random(centres.shape) * (high - low))
    return np.clip(drawn, 0.0, 1.0)
