"""Searcher `smac`: random forest, expected improvement, local search (Hutter, Hoos and Leyton-Brown, 2011).

The forest's mean and variance are those of its trees' leaves: the mean of the leaf means, and by the law of total
variance the variance of the leaf means plus the mean of the leaf variances. Expected improvement is maximised over
random configs and by local search from the best trials; a share of the proposals is random, so that the model also
sees configs that it does not favour. The forest is scikit-learn's; an inactive parameter has an indicator of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.search.searchers.cube import Array, Cube
from headrace.search.searchers.history import HistoryEncoder
from headrace.search.searchers.improvement import log_expected_improvement
from headrace.search.searchers.neighbours import sample_neighbours
from headrace.search.searchers.startup_design import best_candidate
from headrace.search.searchers.transforms import log_regret
from headrace.search.space import Config, Space, require_searchable
from headrace.search.trial import Trial


class SmacSearcher:
    """Random forest and expected improvement, after `startup` space-filling trials.

    Args:
        space: What to search.
        startup: Trials before the first model.
        trees: Trees of the forest.
        leaf: Fewest trials in a leaf.
        candidates: Random configs at which expected improvement is computed.
        rounds: Rounds of local search.
        interleave: Share of proposals that are random.
    """

    name = "smac"

    def __init__(
        self,
        space: Space,
        *,
        startup: int = 8,
        trees: int = 20,
        leaf: int = 1,
        candidates: int = 1000,
        rounds: int = 6,
        interleave: float = 0.1,
    ) -> None:
        require_searchable(space)
        self.space = space
        self.startup = startup
        self.trees = trees
        self.leaf = leaf
        self.candidates = candidates
        self.rounds = rounds
        self.interleave = interleave
        self._cube = Cube(space)
        self._history = HistoryEncoder(self._cube)

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        cube = self._cube
        encoded = self._history.encode_history(history)
        pending_rows = cube.encode(pending)
        proposed = self._history.proposed_identities(history, pending_rows)
        y = log_regret(encoded.losses) if len(encoded.losses) else encoded.losses
        configs: list[Config] = []
        for _ in range(n):
            count = len(y) + len(pending_rows)
            if count < self.startup or not len(y) or rng.random() < self.interleave:
                row = best_candidate(cube, np.concatenate([encoded.X, pending_rows]), proposed, rng)
            else:
                row = self._propose(encoded.X, y, pending_rows, proposed, rng)
            proposed.update(cube.identities(row[None]))
            pending_rows = np.concatenate([pending_rows, row[None]])
            configs.append(cube.decode(row))
        return configs

    def _propose(
        self, X: Array, y: Array, pending_rows: Array, proposed: set[bytes], rng: np.random.Generator
    ) -> Array:
        cube = self._cube
        seed = int(rng.integers(2**31 - 1))
        model = Forest(cube, X, y, trees=self.trees, leaf=self.leaf, seed=seed)
        if len(pending_rows):
            fantasies = np.maximum(model.predict(pending_rows)[0], y.min())
            model = Forest(
                cube,
                np.concatenate([X, pending_rows]),
                np.concatenate([y, fantasies]),
                trees=self.trees,
                leaf=self.leaf,
                seed=seed,
            )
        best = float(y.min())
        rows = cube.sample(self.candidates, rng)
        best_rows = X[np.argsort(y, kind="stable")[:10]]
        log_ei = log_expected_improvement(*model.predict(rows), best)
        for _ in range(self.rounds):
            neighbours = sample_neighbours(cube, best_rows, self.candidates // 5, rng)
            log_ei = np.concatenate([log_ei, log_expected_improvement(*model.predict(neighbours), best)])
            rows = np.concatenate([rows, neighbours])
            best_rows = rows[np.argsort(-log_ei, kind="stable")[:10]]
        identities = cube.identities(rows)
        unused = [i for i, identity in enumerate(identities) if identity not in proposed]
        if not unused:
            return best_candidate(cube, X, proposed, rng)
        best_row: Array = rows[unused][int(np.argmax(log_ei[unused]))]
        return best_row


class Forest:
    """A random forest of the losses, with mean and variance from its leaves."""

    def __init__(self, cube: Cube, X: Array, y: Array, *, trees: int, leaf: int, seed: int) -> None:
        from sklearn.ensemble import RandomForestRegressor

        self._cube = cube
        self._forest: Any = RandomForestRegressor(
            n_estimators=trees,
            min_samples_leaf=leaf,
            min_samples_split=3,
            max_features=5 / 6,
            random_state=seed,
            n_jobs=1,
        ).fit(self._inputs(X), y)

    def _inputs(self, X: Array) -> Any:
        missing = np.isnan(X)
        return np.hstack([self._cube.features(X), missing.astype(np.float64)]).astype(np.float32)

    def predict(self, X: Array) -> tuple[Array, Array]:
        """Predict the mean [m] and variance [m] of the loss at rows X [m, d]."""
        inputs = self._inputs(X)
        means = np.empty((len(self._forest.estimators_), len(X)))
        within = np.empty_like(means)
        for k, tree in enumerate(self._forest.estimators_):
            leaves = tree.tree_.apply(inputs)
            means[k] = tree.tree_.value[leaves, 0, 0]
            within[k] = tree.tree_.impurity[leaves]
        mean: Array = means.mean(axis=0)
        return mean, np.maximum(means.var(axis=0) + within.mean(axis=0), 1e-6)
