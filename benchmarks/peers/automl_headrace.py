"""Headrace; the options of the case leave out a part (`benchmarks.automl.systems`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from automl_protocol import Case, run


def fit(case: Case) -> Callable[[Any], Any]:
    from headrace.automl import HeadraceClassifier, HeadraceRegressor

    kind, mode, changes = case.task["kind"], case.task["mode"], case.task["options"]
    base: Any = HeadraceRegressor if kind == "regression" else HeadraceClassifier

    class Headrace(base):  # type: ignore[misc]
        """The estimator with changed options, those that it has no parameter for included."""

        def _options(self, *, given_groups: bool) -> Any:
            return replace(super()._options(given_groups=given_groups), **changes)

    grouped = mode == "group"
    model = Headrace(
        seconds=float(case.task["seconds"]), n_jobs=case.task["cores"], random_state=case.task["seed"],
        validation=mode, time=case.key if mode == "time" else None,
    )  # fmt: skip

    def frame_of(frame: Any) -> Any:
        return frame.drop(columns=case.key) if grouped else frame

    groups = case.train[case.key].to_numpy() if grouped else None
    model.fit(frame_of(case.train), case.label.to_numpy(), groups=groups, X_predict=frame_of(case.test))
    return lambda frame: (model.predict if kind == "regression" else model.predict_proba)(frame_of(frame))


if __name__ == "__main__":
    run("headrace", "headrace.automl.estimators", fit)
