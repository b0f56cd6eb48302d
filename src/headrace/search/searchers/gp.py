"""Searcher `gp`: Bayesian optimisation with a Gaussian process and expected improvement (Jones et al., 1998).

The length scales are refitted whenever the history has grown by a tenth. The number of trials that they are fitted to
is a function of the history's length, so a proposal depends on the history only; fitted values are cached. Pending
configs enter with their posterior mean as their loss (Kriging believer, Ginsbourger et al. 2010), so that parallel
proposals differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.search.searchers.cube import Array, Cube
from headrace.search.searchers.gaussian_process import Posterior, Prior, fit, squared_distances
from headrace.search.searchers.history import HistoryEncoder
from headrace.search.searchers.improvement import log_expected_improvement, log_expected_improvement_with_gradient
from headrace.search.searchers.neighbours import sample_neighbours
from headrace.search.searchers.startup_design import best_candidate
from headrace.search.searchers.transforms import cap_high_losses
from headrace.search.space import Config, Space, Value, require_searchable
from headrace.search.trial import Trial

#: Length scales are fitted to at most this many trials: half of them the best, the rest evenly spaced in rank.
_FITTED = 200
_STEPS = 20
#: Smallest distance of a proposal to an evaluated config, in features of the unit cube.
_MIN_DISTANCE = 2e-3


class GaussianProcessSearcher:
    """Gaussian process and expected improvement, after `startup` space-filling trials.

    Args:
        space: What to search.
        startup: Trials before the first model.
        candidates: Random configs, and as many neighbours of the best trials, at which EI is computed.
        n_restarts: Number of best candidates from which EI is maximised along its gradient.
        warp: Transform of the losses [n] before the fit.
        prior: Priors of the hyperparameters.
        fixed: Values that every proposal has. Trials with other values inform the model, such as those of another task
            (contextual optimisation, Krause and Ong 2011).
    """

    name = "gp"

    def __init__(
        self,
        space: Space,
        *,
        startup: int = 8,
        candidates: int = 300,
        n_restarts: int = 3,
        warp: Callable[[Array], Array] = cap_high_losses,
        prior: Prior | None = None,
        fixed: Mapping[str, Value] | None = None,
    ) -> None:
        require_searchable(space)
        self.space = space
        self.startup = startup
        self.candidates = candidates
        self.n_restarts = n_restarts
        self.warp = warp
        self.prior = prior
        self._cube = Cube(space)
        self._history = HistoryEncoder(self._cube)
        self._fixed = {
            j: column.coordinate(fixed[column.key])
            for j, column in enumerate(self._cube.columns)
            if fixed is not None and column.key in fixed
        }
        self._fitted: dict[bytes, Array] = {}

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        cube = self._cube
        encoded = self._history.encode_history(history)
        pending_rows = cube.encode(pending)
        proposed = self._history.proposed_identities(history, pending_rows)
        has_model = len(encoded.losses) + len(pending_rows) >= self.startup and len(encoded.losses) > 0
        t = self._scales(history) if has_model and n else np.empty(0)
        configs: list[Config] = []
        for _ in range(n):
            if has_model or (len(encoded.losses) and len(encoded.losses) + len(pending_rows) >= self.startup):
                t = t if len(t) else self._scales(history)
                row = self._propose(encoded.X, self.warp(encoded.losses), pending_rows, t, proposed, rng)
            else:
                row = self._hold(best_candidate(cube, np.concatenate([encoded.X, pending_rows]), proposed, rng)[None])[
                    0
                ]
            proposed.update(cube.identities(row[None]))
            pending_rows = np.concatenate([pending_rows, row[None]])
            configs.append(cube.decode(row))
        return configs

    def _scales(self, history: Sequence[Trial]) -> Array:
        """Fit t to the first `fit_size(len(history))` trials."""
        encoded = self._history.encode_history(history[: fit_size(len(history))])
        if not len(encoded.losses):
            encoded = self._history.encode_history(history)
        y = self.warp(encoded.losses)
        order = np.argsort(y, kind="stable")
        if len(order) > _FITTED:
            half = _FITTED // 2
            evenly_spaced = np.linspace(half, len(order) - 1, half).astype(int)
            order = np.concatenate([order[:half], order[evenly_spaced]])
        F, y = self._cube.features(encoded.X[order]), y[order]
        identity = F.tobytes() + y.tobytes()
        if identity not in self._fitted:
            self._fitted = {identity: fit(F, self._cube.owner, y, self._cube.d, self.prior)}
        return self._fitted[identity]

    def _propose(
        self, X: Array, y: Array, pending_rows: Array, t: Array, proposed: set[bytes], rng: np.random.Generator
    ) -> Array:
        cube = self._cube
        F = cube.features(X)
        model = Posterior(t, F, cube.owner, y)
        expected = model.fitted
        if len(pending_rows):
            fantasies = cube.features(pending_rows)
            y = np.concatenate([y, model.predict(fantasies)[0]])
            F = np.concatenate([F, fantasies])
            model = Posterior(t, F, cube.owner, y)
        eligible = self._eligible(X)
        best = float((expected[eligible] if eligible.any() else expected).min())
        X = X[np.argsort(expected, kind="stable")]
        rows = np.concatenate([cube.sample(self.candidates, rng), sample_neighbours(cube, X[:5], self.candidates, rng)])
        rows = self._hold(rows)
        log_ei = log_expected_improvement(*model.predict(cube.features(rows)), best)
        starts = rows[np.argsort(-log_ei, kind="stable")[: self.n_restarts]]
        improved = cube.snap(self._maximise_improvement(model, starts, best))
        rows = np.concatenate([improved, rows])
        log_ei = np.concatenate([log_expected_improvement(*model.predict(cube.features(improved)), best), log_ei])
        identities = cube.identities(rows)
        for i in np.argsort(-log_ei, kind="stable"):
            if (
                identities[i] not in proposed
                and squared_distances(cube.features(rows[i : i + 1]), F).min() >= _MIN_DISTANCE**2
            ):
                return np.array(rows[i])
        return self._space_filling(X, proposed, rng)

    def _space_filling(self, X: Array, proposed: set[bytes], rng: np.random.Generator) -> Array:
        return np.array(self._hold(best_candidate(self._cube, X, proposed, rng)[None])[0])

    def _hold(self, X: Array) -> Array:
        """Set the fixed parameters of rows [n, d]."""
        for j, coordinate in self._fixed.items():
            X[:, j] = coordinate
        return X

    def _eligible(self, X: Array) -> NDArray[np.bool_]:
        """Return which rows of X [n, d] have the fixed values."""
        matches: NDArray[np.bool_] = np.all(X[:, list(self._fixed)] == list(self._fixed.values()), axis=1)
        return matches

    def _maximise_improvement(self, model: Posterior, rows: Array, best: float) -> Array:
        """Move the active numbers of rows [c, d] along the gradient of log EI; the sum over rows is maximised."""
        from scipy.optimize import minimize

        cube = self._cube
        row_of_free, column_of_free = np.nonzero(cube.numeric & ~np.isnan(rows))
        if not len(column_of_free):
            return rows
        F = cube.features(rows)
        feature_of_free = np.searchsorted(cube.owner, column_of_free)

        def negative(x: Array) -> tuple[float, Array]:
            F[row_of_free, feature_of_free] = x
            mean, variance, mean_gradient, variance_gradient = model.gradient(F)
            value, mean_derivative, variance_derivative = log_expected_improvement_with_gradient(mean, variance, best)
            gradient = mean_derivative[:, None] * mean_gradient + variance_derivative[:, None] * variance_gradient
            return -float(value.sum()), -gradient[row_of_free, feature_of_free]

        start = rows[row_of_free, column_of_free]
        optimum = minimize(
            negative,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, 1)] * len(column_of_free),
            options={"maxiter": _STEPS},
        )
        improved = rows.copy()
        improved[row_of_free, column_of_free] = optimum.x
        return improved


def fit_size(n: int) -> int:
    """Return to how many of n trials the length scales are fitted: n up to 20, then in steps of a tenth."""
    if n <= 20:
        return n
    return math.floor(20 * 1.1 ** math.floor(math.log(n / 20) / math.log(1.1) + 1e-9) + 1e-9)
