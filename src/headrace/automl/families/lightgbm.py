"""Family `lightgbm` for tables: gradient-boosted trees (Ke et al., 2017) with early stopping and native categories."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.automl.families.protocol import Fit, Rows, as_columns
from headrace.automl.task.task import Floats, Task
from headrace.core.openmp import ensure_openmp
from headrace.models.design import Design
from headrace.models.families.lightgbm import LightGBM
from headrace.models.space import Categorical, Config, Float, Integer, Space

_MAX_ROUNDS = 3_000
#: Rounds without improvement at a learning rate of 0.1; more at smaller ones.
_PATIENCE = 25


@dataclass(frozen=True)
class FittedBoosters:
    """One booster, or one per quantile."""

    boosters: tuple[Any, ...]
    rounds: int | None

    def predict(self, design: Design) -> Floats:
        predicted = [
            booster.predict(design.X, num_threads=1, validate_features=False, num_iteration=booster.best_iteration)
            for booster in self.boosters
        ]
        return as_columns(predicted[0]) if len(predicted) == 1 else np.stack(predicted, axis=1).astype(np.float64)


class TableLightGBM:
    """LightGBM; its space is that of the pipeline's family, with wider bounds and the preparation."""

    name = "lightgbm"
    module = "lightgbm"

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        return ""

    def space(self, task: Task) -> Space:
        own = LightGBM().space().parameters
        return Space(
            {
                **own,
                "learning_rate": Float(0.01, 0.2, log=True),
                "num_leaves": Integer(3, 127, log=True),
                "feature_fraction": Float(0.1, 1.0),
                "min_data_in_leaf": Integer(2, 200, log=True),
                "max_bin": Categorical((63, 127, 255)),
                "extra_trees": Categorical((False, True)),
                "categories": Categorical(("codes", "target", "both")),
                "constructions": Categorical((False, True)),
            }
        )

    def default(self) -> Config:
        return {
            "learning_rate": 0.05,
            "num_leaves": 31,
            "min_data_in_leaf": 20,
            "feature_fraction": 0.9,
            "bagging_fraction": 1.0,
            "lambda_l2": 1e-3,
            "max_bin": 255,
            "extra_trees": False,
            "categories": "codes",
            "constructions": False,
        }

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedBoosters:
        ensure_openmp()
        parameters = _parameters(config, fit, len(train.label))
        objectives = [{"objective": "quantile", "alpha": level} for level in fit.task.quantiles] or [{}]
        boosters = tuple(_boost(train, valid, {**parameters, **objective}, fit) for objective in objectives)
        rounds = [booster.best_iteration or booster.current_iteration() for booster in boosters]
        return FittedBoosters(boosters, round(float(np.mean(rounds))))


def _boost(train: Rows, valid: Rows | None, parameters: dict[str, Any], fit: Fit) -> Any:
    import lightgbm

    data = lightgbm.Dataset(
        train.design.X, train.label, weight=train.weight, categorical_feature=list(train.design.categorical),
        params=parameters, free_raw_data=True,
    )  # fmt: skip
    callbacks = [_until(fit.deadline)]
    sets = []
    if valid is not None and fit.rounds is None:
        sets = [lightgbm.Dataset(valid.design.X, valid.label, weight=valid.weight, reference=data)]
        patience = round(_PATIENCE * max(1.0, 0.1 / parameters["learning_rate"]))
        callbacks.append(lightgbm.early_stopping(patience, verbose=False))
    return lightgbm.train(
        parameters, data, num_boost_round=fit.rounds or _MAX_ROUNDS, valid_sets=sets, callbacks=callbacks
    )


def _until(deadline: float) -> Any:
    """Return a callback that ends boosting at a deadline."""
    from lightgbm.callback import EarlyStopException

    best: dict[str, Any] = {"value": float("inf"), "round": 0, "results": []}

    def check(environment: Any) -> None:
        results = environment.evaluation_result_list
        if results and results[0][2] < best["value"]:
            best.update(value=results[0][2], round=environment.iteration, results=results)
        if time.monotonic() > deadline:
            at = best["round"] if best["results"] else environment.iteration
            raise EarlyStopException(at, best["results"] or results)

    return check


def _parameters(config: Mapping[str, Any], fit: Fit, n_rows: int) -> dict[str, Any]:
    kind = fit.task.kind
    absolute = "regression_l1" if fit.loss == "absolute" else "regression"
    objective = {"binary": "binary", "multiclass": "multiclass"}.get(kind, absolute)
    own = {key: value for key, value in config.items() if key not in ("categories", "constructions")}
    return {
        **own,
        "min_data_in_leaf": max(1, min(int(config["min_data_in_leaf"]), n_rows // 10)),
        "objective": objective,
        "bagging_freq": 1 if float(config["bagging_fraction"]) < 1 else 0,
        "seed": fit.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": fit.threads,
        "verbosity": -1,
        **({"num_class": fit.task.n_outputs} if kind == "multiclass" else {}),
    }
