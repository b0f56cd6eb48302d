"""Family `catboost`: ordered boosting with native categories (Prokhorenkova et al., 2018); optional package."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.automl.families.protocol import Fit, Rows, as_columns, categorical_frame, positive_column
from headrace.automl.task.task import Floats, Task
from headrace.models.design import Design
from headrace.models.space import Categorical, Config, Float, Integer, Space

_MAX_ROUNDS = 1_000
_PATIENCE = 60


@dataclass(frozen=True)
class FittedCatBoost:
    """A trained model of CatBoost."""

    model: Any
    task: Task
    rounds: int | None

    def predict(self, design: Design) -> Floats:
        X = categorical_frame(design) if design.categorical else design.X
        if self.task.classification:
            return positive_column(self.model.predict(X, prediction_type="Probability", thread_count=1), self.task)
        return as_columns(self.model.predict(X, thread_count=1))


class _Until:
    """Callback that ends boosting at a deadline."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def after_iteration(self, info: Any) -> bool:
        return time.monotonic() < self._deadline


class TableCatBoost:
    """CatBoost; its default is the strongest single untuned start on TabArena."""

    name = "catboost"
    module = "catboost"

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        return ""

    def space(self, task: Task) -> Space:
        return Space(
            {
                "depth": Integer(4, 8),
                "learning_rate": Float(0.03, 0.2, log=True),
                "l2_leaf_reg": Float(1.0, 10.0, log=True),
                "random_strength": Float(0.2, 10.0, log=True),
                "max_ctr_complexity": Integer(1, 3),
                "one_hot_max_size": Integer(2, 100, log=True),
                "rsm": Float(0.3, 1.0),
                "categories": Categorical(("codes", "both")),
                "constructions": Categorical((False, True)),
            }
        )

    def default(self) -> Config:
        return {
            "depth": 6,
            "learning_rate": 0.06,
            "l2_leaf_reg": 3.0,
            "random_strength": 1.0,
            "max_ctr_complexity": 2,
            "one_hot_max_size": 2,
            "rsm": 1.0,
            "categories": "codes",
            "constructions": False,
        }

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedCatBoost:
        import catboost

        own = {key: value for key, value in config.items() if key not in ("categories", "constructions")}
        early = valid is not None and fit.rounds is None
        model = catboost.CatBoost(
            {
                **own,
                **_objective(fit),
                "iterations": fit.rounds or _MAX_ROUNDS,
                "random_seed": fit.seed,
                "thread_count": fit.threads,
                "logging_level": "Silent",
                "allow_writing_files": False,
                **({"od_type": "Iter", "od_wait": _PATIENCE, "use_best_model": True} if early else {}),
            }
        )
        pool = _pool(train)
        model.fit(
            pool, eval_set=_pool(valid) if early and valid is not None else None, callbacks=[_Until(fit.deadline)]
        )
        return FittedCatBoost(model, fit.task, int(model.tree_count_))


def _objective(fit: Fit) -> dict[str, Any]:
    if fit.task.kind == "quantile":
        levels = fit.task.quantiles
        if len(levels) == 1:
            return {"loss_function": f"Quantile:alpha={levels[0]}"}
        return {"loss_function": "MultiQuantile:alpha=" + ",".join(f"{level}" for level in levels)}
    number = "MAE" if fit.loss == "absolute" else "RMSE"
    return {"loss_function": {"binary": "Logloss", "multiclass": "MultiClass"}.get(fit.task.kind, number)}


def _pool(rows: Rows) -> Any:
    import catboost

    design = rows.design
    X = categorical_frame(design) if design.categorical else design.X
    return catboost.Pool(X, rows.label, weight=rows.weight, cat_features=list(design.categorical))
