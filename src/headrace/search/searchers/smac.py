"""SMAC: a random forest as the model, expected improvement, local search (Hutter, Hoos and Leyton-Brown, 2011).

The forest's mean and variance are those of its trees' leaves: the mean of the leaf means, and by the law of total
variance the variance of the leaf means plus the mean of the leaf variances. Expected improvement is climbed from the
best trials, one changed parameter a step, and looked for at random configs; every so many asks a config is random,
which keeps the model honest. The forest is scikit-learn's; it does not need to know of branches that do not exist,
an inactive parameter is a number outside its range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.search.searchers.cube import Array, Cube
from headrace.search.searchers.evidence import Reader
from headrace.search.searchers.improvement import log_expected_improvement
from headrace.search.searchers.neighbours import around
from headrace.search.searchers.startup import spread
from headrace.search.searchers.warp import logarithm
from headrace.search.space import Config, Space, require_searchable
from headrace.search.trial import Trial


class SmacSearcher:
    """A random forest after `startup` trials that are spread over the space.

    interleave: share of asks that are random. trees, leaf: of the forest; leaf is the fewest trials in one.
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
        self._reader = Reader(self._cube)

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        cube = self._cube
        known = self._reader.read(history)
        waiting = cube.encode(pending)
        used = self._reader.taken(history, waiting)
        y = logarithm(known.losses) if len(known.losses) else known.losses
        asked: list[Config] = []
        for _ in range(n):
            count = len(y) + len(waiting)
            if count < self.startup or not len(y) or rng.random() < self.interleave:
                row = spread(cube, np.concatenate([known.X, waiting]), used, rng)
            else:
                row = self._propose(known.X, y, waiting, used, rng)
            used.update(cube.identities(row[None]))
            waiting = np.concatenate([waiting, row[None]])
            asked.append(cube.decode(row))
        return asked

    def _propose(self, X: Array, y: Array, waiting: Array, used: set[bytes], rng: np.random.Generator) -> Array:
        cube = self._cube
        seed = int(rng.integers(2**31 - 1))
        model = Forest(cube, X, y, trees=self.trees, leaf=self.leaf, seed=seed)
        if len(waiting):
            believed = np.maximum(model.predict(waiting)[0], y.min())
            model = Forest(
                cube,
                np.concatenate([X, waiting]),
                np.concatenate([y, believed]),
                trees=self.trees,
                leaf=self.leaf,
                seed=seed,
            )
        best = float(y.min())
        drawn = cube.sample(self.candidates, rng)
        near = X[np.argsort(y, kind="stable")[:10]]
        gain = log_expected_improvement(*model.predict(drawn), best)
        for _ in range(self.rounds):
            more = around(cube, near, self.candidates // 5, rng)
            gain = np.concatenate([gain, log_expected_improvement(*model.predict(more), best)])
            drawn = np.concatenate([drawn, more])
            near = drawn[np.argsort(-gain, kind="stable")[:10]]
        identities = cube.identities(drawn)
        fresh = [i for i, identity in enumerate(identities) if identity not in used]
        if not fresh:
            return spread(cube, X, used, rng)
        chosen: Array = drawn[fresh][int(np.argmax(gain[fresh]))]
        return chosen


class Forest:
    """Trees on bootstrap samples of the trials; mean and variance from their leaves."""

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
        """Mean [m] and variance [m]."""
        inputs = self._inputs(X)
        means = np.empty((len(self._forest.estimators_), len(X)))
        within = np.empty_like(means)
        for k, tree in enumerate(self._forest.estimators_):
            leaves = tree.tree_.apply(inputs)
            means[k] = tree.tree_.value[leaves, 0, 0]
            within[k] = tree.tree_.impurity[leaves]
        mean: Array = means.mean(axis=0)
        return mean, np.maximum(means.var(axis=0) + within.mean(axis=0), 1e-6)
