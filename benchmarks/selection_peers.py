"""Other ways to choose k of the candidates, each a function of the taught rows alone.

X [n, p] float32 (NaN is missing, categories are codes), y [n] 0 or 1. Each returns the columns that it keeps, the best
first where it knows an order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Ints = NDArray[np.int64]

#: What featuretools.selection drops by default: mostly null, one value, correlated.
_NULL, _CORRELATED = 0.95, 0.95
_FEW_ROWS, _FEWER_ROWS = 20_000, 5_000


def by_rules(X: Matrix, seed: int) -> Ints:
    """The three rules of featuretools.selection: null beyond 95 %, a single value, |r| beyond .95 with one before."""
    rows = _some(len(X), _FEW_ROWS, seed)
    null = np.isnan(X)
    usable = [j for j in range(X.shape[1]) if null[:, j].mean() <= _NULL and np.nanmin(X[:, j]) < np.nanmax(X[:, j])]
    part = _filled(X[np.ix_(rows, usable)])
    part -= part.mean(axis=0)
    size = np.sqrt((part**2).sum(axis=0))
    part /= np.where(size > 0, size, 1.0)
    together = np.abs(part.T @ part) > _CORRELATED
    kept: list[int] = []
    for at in range(len(usable)):
        if not together[at, kept].any():
            kept.append(at)
    return np.array([usable[at] for at in kept], dtype=np.int64)


def by_f_test(X: Matrix, y: Floats, k: int) -> Ints:
    """scikit-learn's SelectKBest with f_classif, missing values at the median."""
    from sklearn.feature_selection import SelectKBest, f_classif

    return _best(SelectKBest(f_classif, k=k), X, y)


def by_mutual_information(X: Matrix, y: Floats, k: int, seed: int) -> Ints:
    """SelectKBest with mutual_info_classif, which is slow: on 5,000 rows."""
    from functools import partial

    from sklearn.feature_selection import SelectKBest, mutual_info_classif

    rows = _some(len(X), _FEWER_ROWS, seed)
    return _best(SelectKBest(partial(mutual_info_classif, random_state=seed), k=k), X[rows], y[rows])


def by_gain(booster: Any, k: int) -> Ints:
    """The k columns of most gain in the model of all columns."""
    return np.argsort(-np.asarray(booster.feature_importance("gain")), kind="stable")[:k].astype(np.int64)


def at_random(p: int, k: int, seed: int) -> Ints:
    return np.sort(np.random.default_rng([seed, 7]).permutation(p)[:k]).astype(np.int64)


def _best(selector: Any, X: Matrix, y: Floats) -> Ints:
    filled = _filled(X)
    varies = np.flatnonzero(filled.min(axis=0) < filled.max(axis=0))
    selector.set_params(k=min(selector.k, len(varies)))
    selector.fit(filled[:, varies], y)
    found = np.nan_to_num(selector.scores_, nan=-1.0)
    return varies[np.argsort(-found, kind="stable")[: selector.k]].astype(np.int64)


def _filled(X: Matrix) -> Floats:
    """Missing values at the column's median, or at 0 where nothing is known."""
    filled = X.astype(np.float64)
    for column in filled.T:
        null = np.isnan(column)
        column[null] = 0.0 if null.all() else np.median(column[~null])
    return filled


def _some(n: int, most: int, seed: int) -> Ints:
    return np.sort(np.random.default_rng(seed).permutation(n)[:most]).astype(np.int64)
