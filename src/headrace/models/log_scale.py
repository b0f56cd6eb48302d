"""Models of log(1 + y), for the metric `rmsle`: they are fitted with squared error on that scale, and predict y.

The root mean squared error of log(1 + y) is the root mean squared logarithmic error of y, so every family that fits a
mean has this metric's own objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.core.files import write_json
from headrace.evaluate.metrics import METRICS, Metric
from headrace.models.design import Design, Predictions
from headrace.models.families.protocol import Fitted, Label

_FILE = "log_scale.json"
#: Largest prediction on the log scale that is used: a linear model may extrapolate to an infinite one.
_LARGEST = 100.0


@dataclass(frozen=True)
class FittedLogScale:
    """A fitted model of log(1 + y). Its Shapley values are on that scale."""

    fitted: Fitted

    @property
    def rounds(self) -> int | None:
        return self.fitted.rounds

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        """Predict y [n], at least 0."""
        return natural(self.fitted.predict(design, threads=threads))

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Return the Shapley values [n, d] of log(1 + y)."""
        return self.fitted.contributions(design)

    def save(self, folder: Path) -> None:
        self.fitted.save(folder)
        write_json(folder / _FILE, {"predicts": "log(1 + y)"})


def natural(predicted: Predictions) -> Predictions:
    """Return y [n], at least 0, of predictions of log(1 + y)."""
    return np.asarray(np.maximum(np.expm1(np.minimum(predicted, _LARGEST)), 0.0), dtype=np.float64)


def fitting_metric(metric: Metric) -> Metric:
    """Return the metric that families minimise: `rmse` for one on the log scale."""
    return METRICS["rmse"] if metric.log_scale else metric


def fitting_label(metric: Metric, label: Label) -> Label:
    """Return the labels [n] on the scale that families are fitted on.

    Raises:
        DataError: A label is negative, and the metric is on the log scale.
    """
    if not metric.log_scale:
        return label
    if len(label) and float(np.min(label)) < 0:
        raise DataError("a label is negative", where=metric.name, found=[float(np.min(label))], fix="use rmse or mae")
    return np.log1p(label)


def on_log_scale(folder: Path, fitted: Fitted) -> Fitted:
    """Return a loaded model, with its scale where its folder says that it is one of log(1 + y)."""
    return FittedLogScale(fitted) if (folder / _FILE).exists() else fitted
