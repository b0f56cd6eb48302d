"""Compute the loss of each prediction on its label, for paired comparisons of two models on the same rows.

A metric that ranks (AUC, average precision) is no mean over rows. For these the loss of a row is its log loss, which
the models of all binary problems minimise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headrace.evaluate.metrics import METRICS, Floats

_CLIP = 1e-6


def row_losses(metric: str, label: Floats, prediction: Floats) -> Floats:
    """Compute the loss of each row.

    Args:
        metric: Name of the problem's metric.
        label: Labels [n], 0 or 1 where the metric is binary.
        prediction: Predictions [n], probabilities where the metric is binary.

    Returns:
        Losses [n], lower is better: absolute errors for `mae`, squared errors for `rmse` and `brier`, log losses else.
    """
    y, p = METRICS[metric].checked(label, prediction) if not METRICS[metric].ranks else (label, prediction)
    return _LOSSES.get(metric, _log_loss)(y, p)


def _log_loss(label: Floats, prediction: Floats) -> Floats:
    """Log loss; probabilities are clipped, so that a single confident error does not decide a comparison."""
    p = np.clip(prediction, _CLIP, 1 - _CLIP)
    return np.asarray(-np.where(label == 1, np.log(p), np.log1p(-p)), dtype=np.float64)


def _squared(label: Floats, prediction: Floats) -> Floats:
    return np.asarray((label - prediction) ** 2, dtype=np.float64)


def _absolute(label: Floats, prediction: Floats) -> Floats:
    return np.asarray(np.abs(label - prediction), dtype=np.float64)


_LOSSES: dict[str, Callable[[Floats, Floats], Floats]] = {"brier": _squared, "rmse": _squared, "mae": _absolute}
