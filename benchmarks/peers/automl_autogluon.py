"""AutoGluon, preset best_quality, with the structure of the rows that it is told (`validation_structure`)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from automl_protocol import Case, run

_METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "root_mean_squared_error"}


def fit(case: Case) -> Callable[[Any], Any]:
    from autogluon.tabular import TabularPredictor

    kind, mode = case.task["kind"], case.task["mode"]
    structure = {"time": {"time_on": case.key}, "group": {"group_on": case.key}}.get(mode)
    path = case.folder / "autogluon"
    shutil.rmtree(path, ignore_errors=True)
    predictor = TabularPredictor(
        label="_target", problem_type=kind, eval_metric=_METRICS[kind], path=str(path), verbosity=1
    )
    predictor.fit(
        case.train.assign(_target=case.label.to_numpy()), presets="best_quality", time_limit=case.task["seconds"],
        num_cpus=case.task["cores"], num_gpus=0, **({"validation_structure": structure} if structure else {}),
    )  # fmt: skip
    predictor.persist()
    return predictor.predict_proba if kind != "regression" else predictor.predict


if __name__ == "__main__":
    run("autogluon.tabular", "autogluon.tabular", fit)
