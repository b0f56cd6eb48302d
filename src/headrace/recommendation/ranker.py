"""A ranking model over candidates: LambdaRank by LightGBM (Burges, 2010; Ke et al., 2017), rows as groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.recommendation.interactions import Ints, distinct

#: Candidates of a row without interaction that the model learns from.
_NEGATIVES = 60
_MOST_ROUNDS = 400


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Candidates to learn from. values: [m, f]; relevant: whether the user takes the item [m]; sizes: by row [r]."""

    values: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    sizes: Ints


@dataclass(frozen=True, kw_only=True)
class Ranker:
    """A fitted model. names: of its features; rounds: its boosting rounds."""

    booster: Any = field(repr=False)
    names: tuple[str, ...]
    rounds: int

    def score(self, values: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        """Score candidates [m]; higher is better."""
        return np.asarray(self.booster.predict(values, num_threads=threads), dtype=np.float64)


def thinned(row: Ints, relevant: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which candidates [m] are learnt from: of rows with a relevant one, all relevant and some others.

    Args:
        row: Row of each candidate, ascending [m].
        relevant: Whether the user takes the item [m].
        rng: Draws the others.
    """
    usable = np.isin(row, distinct(row[relevant]))
    order = np.lexsort((rng.random(len(row)), row))
    starts = np.flatnonzero(np.diff(row[order], prepend=-1))
    rank = np.empty(len(row), dtype=np.int64)
    rank[order] = np.arange(len(row)) - np.repeat(starts, np.diff(starts, append=len(row)))
    return usable & (relevant | (rank < _NEGATIVES))


def fit_ranker(
    train: Examples,
    names: Sequence[str],
    *,
    k: int,
    seed: int,
    threads: int,
    tune: Examples | None = None,
    rounds: int = _MOST_ROUNDS,
) -> Ranker:
    """Fit the model; with `tune`, the number of rounds is that of the best mean average precision at k there."""
    import lightgbm as lgb

    parameters = {
        "objective": "lambdarank", "metric": "map", "eval_at": [k], "lambdarank_truncation_level": 2 * k + 10,
        "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 50, "feature_fraction": 0.7,
        "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0, "verbosity": -1, "seed": seed,
        "num_threads": threads, "deterministic": True, "force_row_wise": True,
    }  # fmt: skip
    data = lgb.Dataset(train.values, train.relevant.astype(int), group=train.sizes, feature_name=_plain(names))
    if tune is None:
        booster = lgb.train(parameters, data, num_boost_round=rounds)
        return Ranker(booster=booster, names=tuple(names), rounds=rounds)
    watched = lgb.Dataset(tune.values, tune.relevant.astype(int), group=tune.sizes, reference=data)
    stopping = lgb.early_stopping(40, verbose=False)
    booster = lgb.train(parameters, data, num_boost_round=rounds, valid_sets=[watched], callbacks=[stopping])
    return Ranker(booster=booster, names=tuple(names), rounds=max(int(booster.best_iteration), 1))


def _plain(names: Sequence[str]) -> list[str]:
    """Names without the signs that LightGBM refuses."""
    return [f"f{number}" for number, _ in enumerate(names)]
