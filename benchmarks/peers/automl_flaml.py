"""FLAML, with the split of the rows that it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from automl_protocol import Case, run

_METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def fit(case: Case) -> Callable[[Any], Any]:
    from flaml import AutoML

    kind, mode = case.task["kind"], case.task["mode"]
    train, groups = case.train, None
    if mode == "group":
        groups, train = train[case.key].to_numpy(), train.drop(columns=case.key)
    system = AutoML()
    system.fit(
        X_train=train, y_train=case.label, metric=_METRICS[kind], time_budget=case.task["seconds"],
        task="regression" if kind == "regression" else "classification", n_jobs=case.task["cores"],
        seed=case.task["seed"], verbose=0, **({"split_type": mode} if mode != "random" else {}),
        **({"groups": groups} if groups is not None else {}),
    )  # fmt: skip

    def predict(frame: Any) -> Any:
        rows = frame.drop(columns=case.key) if mode == "group" else frame
        return system.predict(rows) if kind == "regression" else system.predict_proba(rows)

    return predict


if __name__ == "__main__":
    run("flaml", "flaml", fit)
