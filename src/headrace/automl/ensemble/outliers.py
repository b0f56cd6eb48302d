"""Keep a few rows with very large errors from deciding which models an ensemble has.

The mean of squared errors with a heavy tail depends on its largest terms, so that models would be chosen by a few rows
that no others resemble. Winsorised errors (Dixon, 1960) are cut at a limit (decision 80).
"""

from __future__ import annotations

import numpy as np

from headrace.automl.ensemble.selection import Loss
from headrace.automl.task.metrics import Weights
from headrace.automl.task.task import Floats, Task

#: Largest share of a row in the errors; where rows are few and ordinary ones have larger shares, multiple of the mean.
_SHARE, _TIMES_MEAN = 0.02, 16.0
#: Metrics of squared errors of numbers; those of `rmsle` are errors of logarithms.
_SQUARED = ("rmse", "r2", "rmsle")


def winsorised_loss(label: Floats, weights: Weights, predictions: Floats, task: Task) -> Loss | None:
    """Return the root mean squared error with errors cut at `error_limit`; None where no error exceeds it.

    The limit is of the median error of the models in each row: that of their best ensemble would hide a row which one
    of them was chosen for.

    Args:
        label: Labels [n].
        weights: Sample weights [n] or None.
        predictions: Predictions of the models [m, n, 1].
        task: The task.
    """
    if task.kind != "regression" or task.metric not in _SQUARED:
        return None
    logarithm = task.metric == "rmsle"
    wanted = np.log1p(label) if logarithm else label
    weight = np.ones(len(label)) if weights is None else weights

    def errors(p: Floats) -> Floats:
        predicted = np.log1p(np.maximum(p[:, 0], 0.0)) if logarithm else p[:, 0]
        return np.asarray(weight * (predicted - wanted) ** 2)

    median = np.median([errors(model) for model in predictions], axis=0)
    limit = error_limit(median)
    if not (median > limit).any():
        return None
    return lambda p: float(np.sqrt(np.minimum(errors(p), limit).sum() / weight.sum()))


def error_limit(errors: Floats) -> float:
    """Return the limit at which errors are cut, so that none is then more than a fiftieth of their sum.

    Where that is less than sixteen times the mean of the errors that are not cut, it is this instead.

    Args:
        errors: Errors [n], not negative.
    """
    descending = np.sort(errors)[::-1]
    cut = np.arange(min(round(1 / _SHARE), len(errors)))  # numbers of cut errors, of which the least that suffices
    rest = errors.sum() - np.concatenate([[0.0], np.cumsum(descending)])[cut]
    limits = np.maximum(_SHARE * rest / (1 - _SHARE * cut), _TIMES_MEAN * rest / (len(errors) - cut))
    return float(limits[np.argmax(descending[cut] <= limits)])
