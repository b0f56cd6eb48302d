"""Compute the loss of each prediction on its label, for paired comparisons of two models on the same rows.

A metric that ranks (AUC, average precision) is no mean over rows, but the AUC is a mean over pairs of a positive and a
negative row. The loss of a row is its share in that mean: how much of the other class is ranked on the wrong side of it
(the placement value of DeLong, DeLong and Clarke-Pearson 1988). Rows are ranked within their group, a week: a mixture
of weeks would be ranked by their levels, and a day has too few rows of a rare class.

The log loss would be a mean over rows too. On days with many positive rows it favours whichever model predicts more of
them, so its difference varies between days by several times more than the placements' does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from headrace.evaluate.metrics import METRICS, Floats

_CLIP = 1e-6


def row_losses(metric: str, label: Floats, prediction: Floats, group: NDArray[np.int64]) -> Floats:
    """Compute the loss of each row.

    Args:
        metric: Name of the problem's metric.
        label: Labels [n], 0 or 1 where the metric is binary.
        prediction: Predictions [n], probabilities where the metric is binary.
        group: The group that each row is ranked in [n], such as the number of its week; for metrics that rank.

    Returns:
        Losses [n], lower is better: absolute errors for `mae`, squared errors for `rmse` and `brier`, those of
        log(1 + y) for `rmsle`, quantile losses, placements for metrics that rank, log losses else. The mean
        placement of a group is 1 - AUC; in a group with one class only, every placement is 0.
    """
    if METRICS[metric].ranks:
        losses = np.zeros(len(label))
        for one in np.unique(group):
            rows = group == one
            losses[rows] = _placements(label[rows], prediction[rows])
        return losses
    y, p = METRICS[metric].checked(label, prediction)
    own = METRICS[metric]
    if own.level is not None and metric not in _LOSSES:
        return np.asarray(np.maximum(own.level * (y - p), (own.level - 1) * (y - p)), dtype=np.float64)
    if own.log_scale:
        return _squared(np.log1p(y), np.log1p(np.maximum(p, 0.0)))
    return _LOSSES.get(metric, _log_loss)(y, p)


def _placements(label: Floats, prediction: Floats) -> Floats:
    """Share of the other class on the wrong side of each row, ties half; the two classes have equal weight."""
    from scipy.stats import rankdata

    positive = label == 1
    n, positives = len(label), int(positive.sum())
    losses = np.zeros(n)
    if not 0 < positives < n:
        return losses
    ranks = rankdata(prediction)
    for side in (positive, ~positive):
        others = n - int(side.sum())
        below = ranks[side] - rankdata(prediction[side])
        wrong = others - below if side is positive else below
        losses[side] = wrong / others * n / (2 * (n - others))
    return losses


def _log_loss(label: Floats, prediction: Floats) -> Floats:
    """Log loss; probabilities are clipped, so that a single confident error does not decide a comparison."""
    p = np.clip(prediction, _CLIP, 1 - _CLIP)
    return np.asarray(-np.where(label == 1, np.log(p), np.log1p(-p)), dtype=np.float64)


def _squared(label: Floats, prediction: Floats) -> Floats:
    return np.asarray((label - prediction) ** 2, dtype=np.float64)


def _absolute(label: Floats, prediction: Floats) -> Floats:
    return np.asarray(np.abs(label - prediction), dtype=np.float64)


_LOSSES: dict[str, Callable[[Floats, Floats], Floats]] = {"brier": _squared, "rmse": _squared, "mae": _absolute}
