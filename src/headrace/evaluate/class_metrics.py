"""Metrics of class probabilities: of one of several classes, and of several labels at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CLIP = 1e-15


def class_metrics(truth: Floats, probabilities: Floats) -> dict[str, float]:
    """Measure one of several classes.

    Args:
        truth: 1 in the column of the true class [n, K]; a row of zeros is a class that no column stands for.
        probabilities: [n, K].

    Returns:
        `accuracy`; `macro_f1`, the mean F1 of the classes that are true or predicted; `log_loss`; and `mrr`, the mean
        of 1 / rank of the true class.
    """
    true, chosen = np.where(truth.any(axis=1), truth.argmax(axis=1), -1), probabilities.argmax(axis=1)
    of_true = np.where(true >= 0, np.take_along_axis(probabilities, np.maximum(true, 0)[:, None], axis=1)[:, 0], 0.0)
    rank = 1 + (probabilities > of_true[:, None]).sum(axis=1)
    classes = np.union1d(true, chosen)
    f1 = [
        2 * ((true == one) & (chosen == one)).sum() / ((true == one).sum() + (chosen == one).sum()) for one in classes
    ]
    return {
        "accuracy": float((true == chosen).mean()),
        "macro_f1": float(np.mean(f1)),
        "log_loss": float(-np.log(np.clip(of_true, _CLIP, 1.0)).mean()),
        "mrr": float(np.where(true >= 0, 1 / rank, 0.0).mean()),
    }


def label_metrics(truth: Floats, probabilities: Floats) -> dict[str, float]:
    """Measure several labels at once: means over the labels that are true in some rows and false in others.

    Args:
        truth: 1 where a label is true [n, K].
        probabilities: [n, K].

    Returns:
        `macro_average_precision`, `macro_auc`, and `micro_f1` of the labels above one half.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    both = (truth.min(axis=0) == 0) & (truth.max(axis=0) == 1)
    chosen = probabilities > 0.5
    metrics = {"micro_f1": float(2 * (truth * chosen).sum() / max(truth.sum() + chosen.sum(), 1))}
    if both.any():
        precision = average_precision_score(truth[:, both], probabilities[:, both], average="macro")
        area = roc_auc_score(truth[:, both], probabilities[:, both], average="macro")
        metrics |= {"macro_average_precision": float(precision), "macro_auc": float(area)}
    return metrics
