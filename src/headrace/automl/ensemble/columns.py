"""Columns of a second-level model: predictions of the first level beside the columns of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headrace.automl.task.task import Floats, Task
from headrace.models.design import Design

#: Smallest probability whose log-odds become a column.
_LEAST_PROBABILITY = 1e-4


def with_predictions(design: Design, predictions: Sequence[Floats], task: Task) -> Design:
    """Return a design matrix [n, d + m k] with the predictions of m models [n, k] as further columns.

    Probabilities become log-odds; numbers under a relative metric become logarithms, as the target does.
    """
    columns = np.concatenate([_unbounded(each, task) for each in predictions], axis=1).astype(np.float32)
    names = tuple(f"prediction_{position}" for position in range(columns.shape[1]))
    return replace(design, X=np.hstack([design.X, columns]), names=(*design.names, *names))


def _unbounded(predictions: Floats, task: Task) -> Floats:
    if task.classification:
        p = np.clip(predictions, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        return np.asarray(np.log(p / (1 - p)), dtype=np.float64)
    if task.metric == "rmsle":
        return np.asarray(np.log1p(np.maximum(predictions, 0.0)), dtype=np.float64)
    return predictions
