"""LightGBM with its default parameters: 100 trees, all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from automl_protocol import Case, run


def fit(case: Case) -> Callable[[Any], Any]:
    import lightgbm

    texts = [name for name in case.train.columns if case.train[name].dtype == object]
    levels = {name: pd.CategoricalDtype(sorted(case.train[name].dropna().astype(str).unique())) for name in texts}

    def frame_of(frame: Any) -> Any:
        rows = frame.assign(**{name: frame[name].astype(str).astype(levels[name]) for name in texts})
        days = {name: rows[name].astype("int64") / 8.64e13 for name in rows.select_dtypes("datetime").columns}
        rows = rows.assign(**days)
        rows = rows.drop(columns=case.key) if case.task["mode"] == "group" else rows
        return rows.set_axis([f"x{number}" for number in range(rows.shape[1])], axis=1)  # no JSON characters

    regression = case.task["kind"] == "regression"
    model = (lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier)(n_jobs=case.task["cores"], verbose=-1)
    model.fit(frame_of(case.train), case.label)
    return lambda frame: (model.predict if regression else model.predict_proba)(frame_of(frame))


if __name__ == "__main__":
    run("lightgbm", "lightgbm", fit)
