"""auto-sklearn 0.15; of grouped rows a random fifth of the groups, of ordered rows the last fifth validates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from automl_protocol import Case, run


def fit(case: Case) -> Callable[[Any], Any]:
    import autosklearn.classification
    import autosklearn.metrics
    import autosklearn.regression
    from sklearn.model_selection import PredefinedSplit

    kind, mode = case.task["kind"], case.task["mode"]
    metrics = {
        "binary": autosklearn.metrics.roc_auc, "multiclass": autosklearn.metrics.log_loss,
        "regression": autosklearn.metrics.root_mean_squared_error,
    }  # fmt: skip
    texts = [name for name in case.train.columns if case.train[name].dtype == object]
    levels = {name: pd.CategoricalDtype(case.train[name].dropna().astype(str).unique()) for name in texts}

    def frame_of(frame: Any) -> Any:
        rows = frame.drop(columns=case.key) if mode == "group" else frame
        days = {name: rows[name].astype("int64") / 8.64e13 for name in rows.select_dtypes("datetime").columns}
        rows = rows.assign(**days)
        return rows.assign(**{name: rows[name].astype(str).astype(levels[name]) for name in texts})

    options: dict[str, Any] = {}
    if mode != "random":
        options["resampling_strategy"] = PredefinedSplit(_validated(case) - 1)
    module = autosklearn.regression if kind == "regression" else autosklearn.classification
    system = getattr(module, "AutoSklearnRegressor" if kind == "regression" else "AutoSklearnClassifier")(
        time_left_for_this_task=case.task["seconds"], n_jobs=case.task["cores"], seed=case.task["seed"],
        memory_limit=6_000, metric=metrics[kind], **options,
    )  # fmt: skip
    rows = frame_of(case.train)
    system.fit(rows, case.label)
    if mode != "random":
        system.refit(rows, case.label)
    return lambda frame: (system.predict if kind == "regression" else system.predict_proba)(frame_of(frame))


def _validated(case: Case) -> Any:
    """Return 1 for rows that validate and 0 for the others [n]."""
    key = case.train[case.key]
    if case.task["mode"] == "time":
        return (key.rank(pct=True) > 0.8).astype(int).to_numpy()
    units = pd.factorize(key)[0]
    return (np.random.default_rng(0).permutation(units.max() + 1)[units] % 5 == 0).astype(int)


if __name__ == "__main__":
    run("auto-sklearn", "autosklearn.regression", fit)
