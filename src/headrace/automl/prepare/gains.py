"""Total gain of each column in a small boosted model, to choose the inputs and the survivors of constructions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headrace.automl.prepare.block import Matrix, Target
from headrace.core.openmp import ensure_openmp

_ROUNDS = {"multiclass": 20}
_ROWS = 20_000


def column_gains(X: Matrix, target: Target) -> NDArray[np.float64]:
    """Return the gain of each column [d] in a LightGBM model of X [n, d], fitted on up to 20,000 rows."""
    ensure_openmp()
    import lightgbm

    label = target.label
    if len(X) > _ROWS:
        rows = np.random.default_rng(target.seed).choice(len(X), _ROWS, replace=False)
        X, label = X[rows], label[rows]
    kind = target.task.kind
    parameters = {
        "objective": {"binary": "binary", "multiclass": "multiclass"}.get(kind, "regression"),
        "num_leaves": 15,
        "min_data_in_leaf": max(5, min(20, len(X) // 50)),
        "max_bin": 63,
        "learning_rate": 0.15,
        "feature_fraction": 0.7,
        "seed": target.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    if kind == "multiclass":
        parameters["num_class"] = target.task.n_outputs
    data = lightgbm.Dataset(X, label, params=parameters)
    booster = lightgbm.train(parameters, data, num_boost_round=_ROUNDS.get(kind, 60))
    return np.asarray(booster.feature_importance("gain"), dtype=np.float64)
