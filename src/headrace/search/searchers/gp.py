"""Bayesian optimisation with a Gaussian process and expected improvement (Jones, Schonlau and Welch, 1998).

The length scales are fitted again when the history has grown by a tenth: how many trials they are fitted to follows
from the length of the history, so an ask is a function of it; what was fitted is only remembered. Pending configs are
believed to give what the process expects of them: its uncertainty is gone there, and the next ask goes elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from headrace.search.searchers.cube import Array, Cube
from headrace.search.searchers.evidence import Reader
from headrace.search.searchers.gaussian_process import Posterior, Prior, fit, squared_distances
from headrace.search.searchers.improvement import log_expected_improvement, with_slopes
from headrace.search.searchers.neighbours import around
from headrace.search.searchers.startup import spread
from headrace.search.searchers.warp import cut
from headrace.search.space import Config, Space, require_searchable
from headrace.search.trial import Trial

#: At most so many trials decide the length scales: the best half, and every so many of the others.
_FITTED = 200
_STEPS = 20
#: A config that is closer to another than this in every number of the unit cube teaches nothing.
_APART = 2e-3


class GaussianProcessSearcher:
    """A Gaussian process after `startup` trials that are spread over the space.

    candidates: random configs, and as many around the best trials, that expected improvement is looked for at; the best
    `climbs` of them are improved along its gradient.
    """

    name = "gp"

    def __init__(
        self,
        space: Space,
        *,
        startup: int = 8,
        candidates: int = 300,
        climbs: int = 3,
        warp: Callable[[Array], Array] = cut,
        prior: Prior | None = None,
    ) -> None:
        require_searchable(space)
        self.space = space
        self.startup = startup
        self.candidates = candidates
        self.climbs = climbs
        self.warp = warp
        self.prior = prior
        self._cube = Cube(space)
        self._reader = Reader(self._cube)
        self._fitted: dict[bytes, Array] = {}

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        cube = self._cube
        known = self._reader.read(history)
        waiting = cube.encode(pending)
        used = self._reader.taken(history, waiting)
        modelled = len(known.losses) + len(waiting) >= self.startup and len(known.losses) > 0
        t = self._scales(history) if modelled and n else np.empty(0)
        asked: list[Config] = []
        for _ in range(n):
            if modelled or (len(known.losses) and len(known.losses) + len(waiting) >= self.startup):
                t = t if len(t) else self._scales(history)
                row = self._propose(known.X, self.warp(known.losses), waiting, t, used, rng)
            else:
                row = spread(cube, np.concatenate([known.X, waiting]), used, rng)
            used.update(cube.identities(row[None]))
            waiting = np.concatenate([waiting, row[None]])
            asked.append(cube.decode(row))
        return asked

    def _scales(self, history: Sequence[Trial]) -> Array:
        """t, fitted to the first so many trials as the schedule says."""
        known = self._reader.read(history[: last_fit(len(history))])
        if not len(known.losses):
            known = self._reader.read(history)
        y = self.warp(known.losses)
        order = np.argsort(y, kind="stable")
        if len(order) > _FITTED:
            half = _FITTED // 2
            rest = np.linspace(half, len(order) - 1, half).astype(int)
            order = np.concatenate([order[:half], order[rest]])
        F, y = self._cube.features(known.X[order]), y[order]
        identity = F.tobytes() + y.tobytes()
        if identity not in self._fitted:
            self._fitted = {identity: fit(F, self._cube.owner, y, self._cube.d, self.prior)}
        return self._fitted[identity]

    def _propose(
        self, X: Array, y: Array, waiting: Array, t: Array, used: set[bytes], rng: np.random.Generator
    ) -> Array:
        cube = self._cube
        F = cube.features(X)
        model = Posterior(t, F, cube.owner, y)
        expected = model.fitted
        if len(waiting):
            believed = cube.features(waiting)
            y = np.concatenate([y, model.predict(believed)[0]])
            F = np.concatenate([F, believed])
            model = Posterior(t, F, cube.owner, y)
        best = float(expected.min())
        X = X[np.argsort(expected, kind="stable")]
        drawn = np.concatenate([cube.sample(self.candidates, rng), around(cube, X[:5], self.candidates, rng)])
        gain = log_expected_improvement(*model.predict(cube.features(drawn)), best)
        starts = drawn[np.argsort(-gain, kind="stable")[: self.climbs]]
        climbed = cube.snap(self._climb(model, starts, best))
        drawn = np.concatenate([climbed, drawn])
        gain = np.concatenate([log_expected_improvement(*model.predict(cube.features(climbed)), best), gain])
        identities = cube.identities(drawn)
        for i in np.argsort(-gain, kind="stable"):
            if identities[i] not in used and squared_distances(cube.features(drawn[i : i + 1]), F).min() >= _APART**2:
                return np.array(drawn[i])
        return spread(cube, X, used, rng)

    def _climb(self, model: Posterior, rows: Array, best: float) -> Array:
        """Rows [c, d] with their active numbers moved up the gradient of log EI, all in one: the sum is climbed."""
        from scipy.optimize import minimize

        cube = self._cube
        which, free = np.nonzero(cube.numeric & ~np.isnan(rows))
        if not len(free):
            return rows
        F = cube.features(rows)
        places = np.searchsorted(cube.owner, free)

        def negative(x: Array) -> tuple[float, Array]:
            F[which, places] = x
            mean, variance, mean_gradient, variance_gradient = model.gradient(F)
            value, by_mean, by_variance = with_slopes(mean, variance, best)
            gradient = by_mean[:, None] * mean_gradient + by_variance[:, None] * variance_gradient
            return -float(value.sum()), -gradient[which, places]

        start = rows[which, free]
        found = minimize(
            negative, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(free), options={"maxiter": _STEPS}
        )
        moved = rows.copy()
        moved[which, free] = found.x
        return moved


def last_fit(n: int) -> int:
    """The number of trials that length scales are fitted to when there are n: each up to 20, then each tenth more."""
    if n <= 20:
        return n
    return math.floor(20 * 1.1 ** math.floor(math.log(n / 20) / math.log(1.1) + 1e-9) + 1e-9)
