"""Models of one of several classes, and of several labels at once, by LightGBM: probabilities [n, K].

Exclusive classes are one multinomial model; labels that may be true together are one binary model each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.models.design import Design

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MOST_ROUNDS, _LEAST_ROUNDS, _PATIENCE = 400, 20, 25
#: Most rows x trees of a model: about five minutes of two cores with 120 features.
_WORK = 250_000_000
#: Learning rate x rounds at least, up to the largest rate.
_LEARNING, _SLOW, _FAST = 6.0, 0.08, 0.3
#: Rounds of the model that ranks features, and rows that it learns from.
_RANKING_ROUNDS, _RANKING_ROWS = 30, 30_000


@dataclass(frozen=True, kw_only=True)
class ClassModel:
    """A fitted model. exclusive: one class a row, else labels. boosters: one, or one a label. rounds: of each."""

    exclusive: bool
    boosters: tuple[Any, ...] = field(repr=False)
    rounds: tuple[int, ...]
    constant: Floats

    def predict(self, design: Design, *, threads: int = 1) -> Floats:
        """Predict probabilities [n, K]; of exclusive classes they sum to 1."""
        if self.exclusive:
            return np.asarray(self.boosters[0].predict(design.X, num_threads=threads), dtype=np.float64)
        columns = [
            np.full(len(design), share) if booster is None else booster.predict(design.X, num_threads=threads)
            for booster, share in zip(self.boosters, self.constant, strict=True)
        ]
        return np.stack(columns, axis=1).astype(np.float64)

    def gains(self, n_features: int) -> Floats:
        """Gain of each feature [d], summed over boosters."""
        total = np.zeros(n_features)
        for booster in self.boosters:
            if booster is not None:
                total += booster.feature_importance("gain")
        return total


def fit_classes(
    design: Design, truth: Floats, train: Ints, tune: Ints, *, exclusive: bool, seed: int = 0, threads: int = 1
) -> ClassModel:
    """Fit on the train rows with rounds from the tune rows, then on both.

    Args:
        design: Features [n, d].
        truth: 1 where a class or label is true, else 0 [n, K].
        train, tune: Positions of rows.
        exclusive: Whether exactly one class is true in each row.
        seed: Of samples.
        threads: Of LightGBM.
    """
    first = _fit(design, truth, train, tune, None, exclusive=exclusive, seed=seed, threads=threads)
    both = np.sort(np.concatenate([train, tune]))
    return _fit(design, truth, both, None, first.rounds, exclusive=exclusive, seed=seed, threads=threads)


def rank_features(
    design: Design, truth: Floats, rows: Ints, *, exclusive: bool, seed: int = 0, threads: int = 1
) -> Ints:
    """Return the positions of the features with a gain, best first, by a small model on a sample of the rows."""
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(rows)[:_RANKING_ROWS])
    n_models = 1 if exclusive else truth.shape[1]
    small = _fit(
        design, truth, sample, None, (_RANKING_ROUNDS,) * n_models, exclusive=exclusive, seed=seed, threads=threads
    )
    gains = small.gains(design.X.shape[1])
    order = np.argsort(-gains, kind="stable")
    return order[gains[order] > 0]


def _fit(
    design: Design, truth: Floats, train: Ints, tune: Ints | None, rounds: Sequence[int] | None,
    *, exclusive: bool, seed: int, threads: int,
) -> ClassModel:  # fmt: skip
    constant = truth[train].mean(axis=0)
    targets = [truth.argmax(axis=1)] if exclusive else list(truth.T)
    boosters: list[Any] = []
    used: list[int] = []
    for number, target in enumerate(targets):
        if not exclusive and len(np.unique(target[train])) < 2:
            boosters.append(None)
            used.append(1)
            continue
        limit = _MOST_ROUNDS if rounds is None else rounds[number]
        n_classes = truth.shape[1] if exclusive else None
        booster = _boost(design, target, train, tune, limit, n_classes, seed, threads)
        boosters.append(booster)
        used.append(max(int(booster.best_iteration), 1) if tune is not None else limit)
    return ClassModel(exclusive=exclusive, boosters=tuple(boosters), rounds=tuple(used), constant=constant)


def _boost(
    design: Design, target: NDArray[Any], train: Ints, tune: Ints | None, rounds: int, n_classes: int | None,
    seed: int, threads: int,
) -> Any:  # fmt: skip
    import lightgbm as lgb

    affordable = int(np.clip(_WORK / (len(train) * (n_classes or 1)), _LEAST_ROUNDS, _MOST_ROUNDS))
    rate = float(np.clip(_LEARNING / affordable, _SLOW, _FAST))
    parameters: dict[str, Any] = {
        "learning_rate": rate, "num_leaves": 31, "min_data_in_leaf": 20, "feature_fraction": 0.7, "lambda_l2": 1.0,
        "bagging_fraction": 0.8, "bagging_freq": 1, "verbosity": -1, "seed": seed, "num_threads": threads,
        "deterministic": True, "force_row_wise": True, "objective": "binary",
    }  # fmt: skip
    if n_classes is not None:
        parameters |= {"objective": "multiclass", "num_class": n_classes}
    options: dict[str, Any] = {"categorical_feature": list(design.categorical), "free_raw_data": True}
    data = lgb.Dataset(design.X[train], target[train], **options)
    if tune is None:
        return lgb.train(parameters, data, num_boost_round=rounds)
    watched = lgb.Dataset(design.X[tune], target[tune], reference=data, **options)
    stopping = lgb.early_stopping(_PATIENCE, verbose=False)
    rounds = min(rounds, affordable)
    return lgb.train(parameters, data, num_boost_round=rounds, valid_sets=[watched], callbacks=[stopping])
