"""One configuration of the benchmark's space, trained: LightGBM with early stopping, or a linear model."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.surrogate.sources import Split
from headrace.models.space import Config

#: Early stopping finds the rounds; with a rate of .01 this many are too few, as they would be in a study with a budget.
MAX_ROUNDS, PATIENCE = 500, 20
_PREFIX = "lightgbm."


class Outcome(NamedTuple):
    """loss: log loss or RMSE on the judging rows. rounds: boosted, 0 for a linear model."""

    loss: float
    rounds: int


def train(config: Config, data: Split, seed: int = 0) -> Outcome:
    """Fit on the teaching rows, stop and measure on the judging ones, with one thread."""
    return _boost(config, data, seed) if config["family"] == "lightgbm" else _linear(config, data)


def _boost(config: Config, data: Split, seed: int) -> Outcome:
    import lightgbm

    parameters = _parameters(config, binary=data.binary, seed=seed)
    teach = lightgbm.Dataset(data.X, data.y, categorical_feature=list(data.categorical), params=parameters)
    judge = lightgbm.Dataset(data.X_valid, data.y_valid, reference=teach, params=parameters)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    booster = lightgbm.train(parameters, teach, MAX_ROUNDS, valid_sets=[judge], callbacks=[stop])
    ((_, loss),) = booster.best_score["valid_0"].items()
    return Outcome(float(loss), int(booster.best_iteration))


def _parameters(config: Config, *, binary: bool, seed: int) -> dict[str, Any]:
    own = {key.removeprefix(_PREFIX): value for key, value in config.items() if key.startswith(_PREFIX)}
    plain = {key: value for key, value in own.items() if key != "sampling" and "." not in key}
    sampling: dict[str, Any] = {}
    if own["sampling"] == "bagging":
        sampling = {"bagging_fraction": own["bagging.fraction"], "bagging_freq": 1}
    elif own["sampling"] == "goss":
        sampling = {
            "data_sample_strategy": "goss",
            "top_rate": own["goss.top"],
            "other_rate": own["goss.other"],
        }
    fixed = {
        "objective": "binary" if binary else "regression",
        "metric": "binary_logloss" if binary else "rmse",
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    return {**plain, **sampling, **fixed}


def _linear(config: Config, data: Split) -> Outcome:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    strength = float(config["linear.strength"])  # type: ignore[arg-type]
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-3) if data.binary else Ridge(alpha=1 / strength)
    pipeline = make_pipeline(_prepare(str(config["linear.scale"]), data), model)
    with warnings.catch_warnings():
        # Not quite converged is a model like any other: its loss tells what it is worth.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(data.X, data.y)
    if data.binary:
        return Outcome(_log_loss(data.y_valid, pipeline.predict_proba(data.X_valid)[:, 1]), 0)
    return Outcome(float(np.sqrt(np.mean((pipeline.predict(data.X_valid) - data.y_valid) ** 2))), 0)


def _prepare(scale: str, data: Split) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

    numeric = [at for at in range(data.X.shape[1]) if at not in data.categorical]
    quantile = QuantileTransformer(n_quantiles=min(200, len(data.y)), output_distribution="normal", random_state=0)
    scaler = StandardScaler() if scale == "standard" else quantile
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), scaler)
    codes = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1.0), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    return ColumnTransformer([("numbers", numbers, numeric), ("codes", codes, list(data.categorical))])


def _log_loss(y: NDArray[np.float64], p: NDArray[np.float64]) -> float:
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    return float(-np.mean(y * np.log(clipped) + (1 - y) * np.log1p(-clipped)))
