"""Losses of predictions on test rows; lower is better. 1 - AUC of two classes, log loss of more, RMSE of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_CLIP = 1e-6


def loss_of(label: Floats, predicted: Floats) -> float:
    """Return the loss of predictions [n, k]: k is 1 for a number, the number of classes otherwise."""
    from sklearn.metrics import log_loss, roc_auc_score

    k = predicted.shape[1]
    if k == 1:
        return float(np.sqrt(np.mean((label - predicted[:, 0]) ** 2)))
    if k == 2:
        return 1 - float(roc_auc_score(label, predicted[:, 1]))
    p = np.clip(predicted, _CLIP, 1)
    return float(log_loss(label, p / p.sum(axis=1, keepdims=True), labels=np.arange(k)))


def constant_loss(train: Floats, test: Floats, n_classes: int) -> float:
    """Return the loss of the best constant prediction of the training labels."""
    if n_classes == 0:
        return loss_of(test, np.full((len(test), 1), train.mean()))
    shares: Any = np.bincount(train.astype(int), minlength=n_classes) / len(train)
    return loss_of(test, np.tile(shares, (len(test), 1)))
