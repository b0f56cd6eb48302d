"""Keep a few rows with very large errors from deciding which models an ensemble has.

The mean of squared errors with a heavy tail depends on its largest terms, so that models would be chosen by a few rows
that no others resemble. Here a row counts for at most a fiftieth of the total (winsorised errors: Dixon, 1960;
decision 80).
"""

from __future__ import annotations

import numpy as np

from headrace.automl.ensemble.selection import Loss
from headrace.automl.task.metrics import Weights
from headrace.automl.task.task import Floats, Task

#: Largest share of a row in the total; or, where rows are few and normal ones have larger shares, multiple of the mean.
_SHARE, _TIMES_MEAN = 0.02, 16.0
#: Metrics of squared errors of numbers, and of their logarithms.
_SQUARED, _SQUARED_LOGARITHMS = ("rmse", "r2"), ("rmsle",)


def winsorised_loss(label: Floats, weights: Weights, predictions: Floats, task: Task) -> Loss | None:
    """Return the root mean squared error in which no row exceeds its largest share; None where none does.

    Args:
        label: Labels [n].
        weights: Sample weights [n] or None.
        predictions: Predictions [n, 1] of an ensemble, whose total error the shares are of.
        task: The task.
    """
    if task.kind != "regression" or task.metric not in (*_SQUARED, *_SQUARED_LOGARITHMS):
        return None

    def errors(p: Floats) -> Floats:
        if task.metric in _SQUARED_LOGARITHMS:
            return np.asarray((np.log1p(np.maximum(p[:, 0], 0.0)) - np.log1p(label)) ** 2)
        return np.asarray((p[:, 0] - label) ** 2)

    found = errors(predictions)
    limit = max(_SHARE * float(found.sum()), _TIMES_MEAN * float(found.mean()))
    if not (found > limit).any():
        return None
    return lambda p: float(np.sqrt(np.average(np.minimum(errors(p), limit), weights=weights)))
