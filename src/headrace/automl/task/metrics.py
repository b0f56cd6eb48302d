"""Metrics with a direction for every kind of task, from scikit-learn; with sample weights.

| symbol | meaning                                       | shape  |
|--------|-----------------------------------------------|--------|
| y      | label: 0 / 1, position of a class, or number  | [n]    |
| p      | prediction, as in `task`                      | [n, k] |
| w      | sample weights, None for equal ones           | [n]    |

`headrace.evaluate.metrics` has the metrics of the pipeline: without weights and classes, but with their bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.automl.task.task import Floats, Kind, Task
from headrace.core.errors import DataError, DeclarationError
from headrace.evaluate.metrics import METRICS as PIPELINE_METRICS

Weights = NDArray[np.float64] | None
_CLIP = 1e-15


@dataclass(frozen=True, kw_only=True)
class TaskMetric:
    """A metric with a direction.

    Attributes:
        name: Name in METRICS.
        greater_is_better: Its direction.
        kinds: Kinds of tasks that it measures.
        compute: (y, p, w, task) -> value.
        decides: Whether it measures decided classes, so that the threshold matters.
    """

    name: str
    greater_is_better: bool
    kinds: tuple[Kind, ...]
    compute: Callable[[Floats, Floats, Weights, Task], float]
    decides: bool = False

    def value(self, y: Floats, p: Floats, w: Weights, task: Task) -> float:
        """Compute the metric.

        Raises:
            DataError: A prediction is NaN or infinite.
        """
        if not np.isfinite(p).all():
            raise DataError("a prediction is NaN or infinite", where=self.name)
        return float(self.compute(y, p, w, task))

    def loss(self, y: Floats, p: Floats, w: Weights, task: Task) -> float:
        """Compute the metric as a loss: lower is better."""
        value = self.value(y, p, w, task)
        return -value if self.greater_is_better else value


def metric_of(task: Task) -> TaskMetric:
    """Return the metric of a task.

    Raises:
        DeclarationError: There is no such metric, or it does not measure this kind of task.
    """
    fitting = [name for name, metric in METRICS.items() if task.kind in metric.kinds]
    if task.metric not in fitting:
        raise DeclarationError(f"no metric {task.metric!r} for a {task.kind} target", where="metric", found=fitting)
    return METRICS[task.metric]


def decide(p: Floats, task: Task, threshold: float = 0.5) -> NDArray[np.int64]:
    """Return the position of the predicted class [n]."""
    return (p[:, 0] >= threshold).astype(np.int64) if task.kind == "binary" else p.argmax(axis=1)


def _auc(y: Floats, p: Floats, w: Weights, task: Task) -> float:
    """Return the area; of several classes, that of each against the others, weighted by its rows and their weights."""
    present = np.unique(y).astype(np.int64)
    if len(present) < 2:
        return 0.5
    if task.kind == "binary":
        return _area(y, p[:, 0], w)
    areas = [_area((y == position).astype(np.float64), p[:, position], w) for position in present]
    shares = [np.average(y == position, weights=w) for position in present]
    return float(np.average(areas, weights=shares))


def _area(y: Floats, p: Floats, w: Weights) -> float:
    """Return the area under the curve, several times faster than scikit-learn, which ensemble selection needs.

    It is the share of the pairs of a positive and a negative row in which the positive one is predicted higher; pairs
    are weighted by the product of their weights, and equal predictions count half.
    """
    if w is None:
        return PIPELINE_METRICS["auc"].value(y, p)
    order = np.argsort(p, kind="stable")
    last_of_equal = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    positive, negative = (
        np.concatenate([[0.0], np.cumsum((w * of_class)[order])[last_of_equal]]) for of_class in (y, 1 - y)
    )
    if positive[-1] == 0 or negative[-1] == 0:
        return 0.5
    below = (negative[:-1] + negative[1:]) / 2
    return float(np.diff(positive) @ below / (positive[-1] * negative[-1]))


def _average_precision(y: Floats, p: Floats, w: Weights, task: Task) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(y, p[:, 0], sample_weight=w)) if y.any() else 0.0


def _log_loss(y: Floats, p: Floats, w: Weights, task: Task) -> float:
    if task.kind == "binary":
        own = np.where(y == 1, p[:, 0], 1 - p[:, 0])
    else:
        own = p[np.arange(len(y)), y.astype(np.int64)] / np.maximum(p.sum(axis=1), _CLIP)
    return float(np.average(-np.log(np.clip(own, _CLIP, 1.0)), weights=w))


def _brier(y: Floats, p: Floats, w: Weights, task: Task) -> float:
    if task.kind == "binary":
        return float(np.average((p[:, 0] - y) ** 2, weights=w))
    truth = np.eye(p.shape[1])[y.astype(np.int64)]
    return float(np.average(((p - truth) ** 2).sum(axis=1), weights=w))


def _decided(name: str, **options: Any) -> Callable[[Floats, Floats, Weights, Task], float]:
    def compute(y: Floats, p: Floats, w: Weights, task: Task) -> float:
        import sklearn.metrics

        chosen = dict(options)
        if "average" in chosen and chosen["average"] is None:
            chosen["average"] = "binary" if task.kind == "binary" else "macro"
        return float(getattr(sklearn.metrics, name)(y, decide(p, task), sample_weight=w, **chosen))

    return compute


def _numbers(name: str) -> Callable[[Floats, Floats, Weights, Task], float]:
    def compute(y: Floats, p: Floats, w: Weights, task: Task) -> float:
        import sklearn.metrics

        return float(getattr(sklearn.metrics, name)(y, p[:, 0], sample_weight=w))

    return compute


def _rmsle(y: Floats, p: Floats, w: Weights, task: Task) -> float:
    gap = np.log1p(np.maximum(p[:, 0], 0.0)) - np.log1p(y)
    return float(np.sqrt(np.average(gap**2, weights=w)))


def _pinball(y: Floats, p: Floats, w: Weights, task: Task) -> float:
    levels = np.asarray(task.quantiles)
    gap = y[:, None] - p
    return float(np.average(np.maximum(levels * gap, (levels - 1) * gap).mean(axis=1), weights=w))


_CLASSES: tuple[Kind, ...] = ("binary", "multiclass")
_NUMBER: tuple[Kind, ...] = ("regression",)


def _metric(name: str, greater: bool, kinds: tuple[Kind, ...], compute: Any, *, decides: bool = False) -> TaskMetric:
    return TaskMetric(name=name, greater_is_better=greater, kinds=kinds, compute=compute, decides=decides)


METRICS: dict[str, TaskMetric] = {
    metric.name: metric
    for metric in (
        _metric("auc", True, _CLASSES, _auc),
        _metric("average_precision", True, ("binary",), _average_precision),
        _metric("log_loss", False, _CLASSES, _log_loss),
        _metric("brier", False, _CLASSES, _brier),
        _metric("accuracy", True, _CLASSES, _decided("accuracy_score"), decides=True),
        _metric("balanced_accuracy", True, _CLASSES, _decided("balanced_accuracy_score"), decides=True),
        _metric("f1", True, _CLASSES, _decided("f1_score", average=None, zero_division=0.0), decides=True),
        _metric("rmse", False, _NUMBER, _numbers("root_mean_squared_error")),
        _metric("rmsle", False, _NUMBER, _rmsle),
        _metric("mae", False, _NUMBER, _numbers("mean_absolute_error")),
        _metric("mape", False, _NUMBER, _numbers("mean_absolute_percentage_error")),
        _metric("r2", True, _NUMBER, _numbers("r2_score")),
        _metric("pinball", False, ("quantile",), _pinball),
    )
}
