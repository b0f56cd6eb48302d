"""Family `xgboost`: gradient-boosted trees (Chen and Guestrin, 2016) with native categories; optional package."""

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
from headrace.models.space import Categorical, Config, Float, Integer, Space

_MAX_ROUNDS = 2_000
_PATIENCE = 25


@dataclass(frozen=True)
class FittedXGBoost:
    """A trained booster of XGBoost."""

    booster: Any
    rounds: int | None

    def predict(self, design: Design) -> Floats:
        return as_columns(self.booster.predict(_matrix(design), iteration_range=(0, self.rounds or 0)))


class TableXGBoost:
    """XGBoost with histograms."""

    name = "xgboost"
    module = "xgboost"

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        return ""

    def space(self, task: Task) -> Space:
        return Space(
            {
                "eta": Float(0.02, 0.2, log=True),
                "max_depth": Integer(3, 10),
                "min_child_weight": Float(0.5, 50.0, log=True),
                "subsample": Float(0.5, 1.0),
                "colsample_bytree": Float(0.3, 1.0),
                "reg_lambda": Float(1e-2, 30.0, log=True),
                "categories": Categorical(("codes", "target", "both")),
                "constructions": Categorical((False, True)),
            }
        )

    def default(self) -> Config:
        return {
            "eta": 0.08,
            "max_depth": 6,
            "min_child_weight": 1.0,
            "subsample": 0.9,
            "colsample_bytree": 0.8,
            "reg_lambda": 1.0,
            "categories": "codes",
            "constructions": False,
        }

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedXGBoost:
        ensure_openmp()
        import xgboost

        early = valid is not None and fit.rounds is None
        patience = round(_PATIENCE * max(1.0, 0.1 / float(config["eta"])))
        booster = xgboost.train(
            _parameters(config, fit),
            _matrix(train.design, train),
            num_boost_round=fit.rounds or _MAX_ROUNDS,
            evals=[(_matrix(valid.design, valid), "valid")] if early and valid is not None else [],
            early_stopping_rounds=patience if early else None,
            callbacks=[_until(fit.deadline)],
            verbose_eval=False,
        )
        rounds = booster.num_boosted_rounds()
        if early:  # a deadline in the first round ends boosting before XGBoost has a best one
            rounds = getattr(booster, "best_iteration", rounds - 1) + 1
        return FittedXGBoost(booster, int(rounds))


def _until(deadline: float) -> Any:
    import xgboost

    class Until(xgboost.callback.TrainingCallback):
        """Ends boosting at a deadline."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return time.monotonic() > deadline

    return Until()


def _matrix(design: Design, rows: Rows | None = None) -> Any:
    import xgboost

    types = ["c" if position in design.categorical else "q" for position in range(len(design.names))]
    return xgboost.DMatrix(
        design.X,
        label=None if rows is None else rows.label,
        weight=None if rows is None else rows.weight,
        feature_types=types,
        enable_categorical=True,
        nthread=1,
    )


def _parameters(config: Mapping[str, Any], fit: Fit) -> dict[str, Any]:
    own = {key: value for key, value in config.items() if key not in ("categories", "constructions")}
    number = "reg:absoluteerror" if fit.loss == "absolute" else "reg:squarederror"
    objective = {"binary": "binary:logistic", "multiclass": "multi:softprob", "quantile": "reg:quantileerror"}
    return {
        **own,
        "objective": objective.get(fit.task.kind, number),
        "tree_method": "hist",
        "seed": fit.seed,
        "nthread": fit.threads,
        "verbosity": 0,
        **({"num_class": fit.task.n_outputs} if fit.task.kind == "multiclass" else {}),
        **({"quantile_alpha": np.asarray(fit.task.quantiles)} if fit.task.kind == "quantile" else {}),
    }
