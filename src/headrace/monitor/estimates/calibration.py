"""Calibrate predicted probabilities on held-out rows, for estimates of performance without labels.

Three maps from a prediction p to a probability c compete: none (c = p), logistic (logit c = a + b logit p; Platt 1999),
and isotonic (Zadrozny and Elkan 2002). Their log loss is cross-validated over contiguous blocks of days. The simplest
map within one standard error of the best is chosen (Breiman et al. 1984), so that few rows do not lead to a step
function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

Floats = NDArray[np.float64]
Groups = NDArray[np.int64]
Kind = Literal["none", "logistic", "isotonic"]

#: From the simplest to the most flexible.
KINDS: tuple[Kind, ...] = ("none", "logistic", "isotonic")
_FOLDS = 5
_STEPS = 30
_SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class Calibration:
    """A map from predictions to probabilities.

    Attributes:
        kind: Which of the maps.
        slope, intercept: b and a of the logistic map.
        knots: Predictions [m] and probabilities [m] of the isotonic map, linear in between.
    """

    kind: Kind
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[Floats, Floats] | None = None

    def __call__(self, prediction: Floats) -> Floats:
        """Return the calibrated probabilities [n] of predictions [n]."""
        if self.knots is not None:
            return np.interp(prediction, *self.knots)
        if self.kind == "none":
            return np.asarray(prediction, dtype=np.float64)
        return np.asarray(expit(self.intercept + self.slope * _logit(prediction)), dtype=np.float64)


def fit_calibration(prediction: Floats, label: Floats, groups: Groups) -> Calibration:
    """Choose and fit a calibration.

    Args:
        prediction: Predicted probabilities [k] of rows that the model was not fitted on.
        label: Their labels [k], 0 or 1.
        groups: Day of each row [k], 0 .. D-1, in order of time.
    """
    folds = contiguous_folds(groups)
    losses = {kind: _log_loss(cross_fitted(kind, prediction, label, folds), label) for kind in KINDS}
    best = min(KINDS, key=lambda kind: float(losses[kind].mean()))
    for kind in KINDS:
        excess = losses[kind] - losses[best]
        by_day = np.bincount(groups, weights=excess) / len(excess)
        error = float(np.sqrt(len(by_day)) * by_day.std(ddof=1)) if len(by_day) > 1 else 0.0
        if excess.mean() <= error:
            return fit(kind, prediction, label)
    return fit(best, prediction, label)


def cross_fitted(kind: Kind, prediction: Floats, label: Floats, folds: Groups) -> Floats:
    """Return probabilities [k], those of each fold from a map that is fitted on the other folds."""
    probability = np.array(prediction, dtype=np.float64)
    for fold in np.unique(folds):
        inside = folds == fold
        if not inside.all():
            probability[inside] = fit(kind, prediction[~inside], label[~inside])(prediction[inside])
    return probability


def contiguous_folds(groups: Groups, count: int = _FOLDS) -> Groups:
    """Assign days to folds of neighbouring days; returns the fold of each row [k]."""
    days = int(groups.max(initial=0)) + 1
    return groups * min(count, days) // days


def fit(kind: Kind, prediction: Floats, label: Floats) -> Calibration:
    """Fit one of the maps to predictions [k] and labels [k]."""
    if kind == "logistic":
        return _fit_logistic(prediction, label)
    if kind == "isotonic":
        return _fit_isotonic(prediction, label)
    return Calibration(kind="none")


def _fit_logistic(prediction: Floats, label: Floats) -> Calibration:
    """Newton's method on Platt's smoothed targets, which keep the slope finite where classes are separable."""
    positives, count = float(label.sum()), len(label)
    target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (count - positives + 2))
    x = np.stack([np.ones(count), _logit(prediction)], axis=1)
    beta = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        c = expit(x @ beta)
        hessian = (x * (c * (1 - c) + 1e-12)[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (target - c))
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(kind="logistic", intercept=float(beta[0]), slope=float(beta[1]))


def _fit_isotonic(prediction: Floats, label: Floats) -> Calibration:
    values, row, counts = np.unique(prediction, return_inverse=True, return_counts=True)
    shares = np.bincount(row, weights=label) / counts
    fitted = isotonic_regression(shares, weights=counts).x
    margin = 1 / (len(label) + 2)  # no probability is 0 or 1: one row would then cost an infinite log loss
    return Calibration(kind="isotonic", knots=(values.astype(np.float64), np.clip(fitted, margin, 1 - margin)))


def _logit(prediction: Floats) -> Floats:
    return np.asarray(logit(np.clip(prediction, _SMALLEST, 1 - _SMALLEST)), dtype=np.float64)


def _log_loss(probability: Floats, label: Floats) -> Floats:
    c = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(-np.where(label == 1, np.log(c), np.log1p(-c)), dtype=np.float64)
