"""The loss of a constant prediction: what a model must be better than to be of use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.automl.task.metrics import Weights, metric_of
from headrace.automl.task.task import Floats, Task


def constant_loss(label: Floats, weights: Weights, task: Task) -> float:
    """Return the loss of the best constant prediction: shares of the classes, quantiles, the median or the mean.

    Args:
        label: Labels [n], as in `task`.
        weights: Sample weights [n] or None.
        task: The task.
    """
    constant = np.tile(constant_prediction(label, weights, task), (len(label), 1))
    return metric_of(task).loss(label, constant, weights, task)


def constant_prediction(label: Floats, weights: Weights, task: Task) -> Floats:
    """Return the best constant prediction of a row [k], as in `task`."""
    if task.kind == "binary":
        return np.array([np.average(label, weights=weights)])
    if task.kind == "multiclass":
        counts = np.bincount(label.astype(np.int64), weights=weights, minlength=task.n_outputs)
        return np.asarray(counts / counts.sum(), dtype=np.float64)
    if task.kind == "quantile":
        return _quantiles(label, weights, task.quantiles)
    if task.metric == "rmsle":
        return np.array([np.expm1(np.average(np.log1p(label), weights=weights))])
    if task.metric in ("mae", "mape"):
        return _quantiles(label, weights, (0.5,))
    return np.array([np.average(label, weights=weights)])


def _quantiles(label: Floats, weights: Weights, levels: Sequence[float]) -> Floats:
    if weights is None:
        return np.quantile(label, levels)
    return np.asarray(np.quantile(label, levels, weights=weights, method="inverted_cdf"), dtype=np.float64)
