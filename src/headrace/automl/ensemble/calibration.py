"""Adjust the predictions of an ensemble, from its out-of-fold predictions: temperature, threshold, order of quantiles.

Temperature scaling (Guo et al., 2017) divides the log-odds (of several classes: the logarithms) by one number T; it
does not change their order. Predicted quantiles are sorted (Chernozhukov et al., 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.automl.task.metrics import METRICS, TaskMetric, Weights
from headrace.automl.task.task import Floats, Task

_CLIP = 1e-6
#: A temperature must lower the log loss by this share to be used.
_LEAST_GAIN = 1e-3
_THRESHOLDS = 99


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The adjustment of predictions.

    Attributes:
        temperature: T; 1 leaves probabilities unchanged.
        threshold: Probability from which the second class of a binary task is predicted.
    """

    temperature: float = 1.0
    threshold: float = 0.5

    def apply(self, p: Floats, task: Task) -> Floats:
        """Return the adjusted predictions [n, k]."""
        if task.kind == "quantile":
            return np.sort(p, axis=1)
        if not task.classification:
            return p
        return scaled(p, self.temperature, task)


def scaled(p: Floats, temperature: float, task: Task) -> Floats:
    """Divide log-odds (binary) or logarithms (multiclass) of probabilities [n, k] by a temperature."""
    if temperature == 1.0:
        return p if task.kind == "binary" else p / np.maximum(p.sum(axis=1, keepdims=True), _CLIP)
    clipped = np.clip(p, _CLIP, 1 - _CLIP)
    if task.kind == "binary":
        odds = (np.log(clipped) - np.log1p(-clipped)) / temperature
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)
    powers = np.exp(np.log(clipped) / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def fit_calibration(y: Floats, p: Floats, w: Weights, task: Task, metric: TaskMetric, *, temper: bool) -> Calibration:
    """Fit temperature and threshold on out-of-fold predictions.

    Args:
        y: Labels [n].
        p: Predictions [n, k].
        w: Sample weights [n] or None.
        task: The task.
        metric: Where it measures decided classes, the threshold of a binary task optimises it.
        temper: Whether a temperature is fitted.
    """
    if not task.classification:
        return Calibration()
    temperature = _temperature(y, p, w, task) if temper else 1.0
    adjusted = scaled(p, temperature, task)
    threshold = _threshold(y, adjusted, w, task, metric) if metric.decides and task.kind == "binary" else 0.5
    return Calibration(temperature=temperature, threshold=threshold)


def _temperature(y: Floats, p: Floats, w: Weights, task: Task) -> float:
    from scipy.optimize import minimize_scalar

    log_loss = METRICS["log_loss"]
    found = minimize_scalar(
        lambda log_t: log_loss.value(y, scaled(p, float(np.exp(log_t)), task), w, task), bounds=(-1.5, 1.5),
        method="bounded",
    )  # fmt: skip
    before = log_loss.value(y, scaled(p, 1.0, task), w, task)
    return float(np.exp(found.x)) if found.fun < before * (1 - _LEAST_GAIN) else 1.0


def _threshold(y: Floats, p: Floats, w: Weights, task: Task, metric: TaskMetric) -> float:
    """Return the best of the quantiles of the probabilities and 0.5; among equals the one nearest to 0.5."""
    candidates = np.unique([0.5, *np.quantile(p[:, 0], np.linspace(0.01, 0.99, _THRESHOLDS))])
    losses = []
    for threshold in candidates:
        decided = (p >= threshold).astype(np.float64)
        losses.append((metric.loss(y, decided, w, task), abs(float(threshold) - 0.5)))
    return float(candidates[min(range(len(losses)), key=losses.__getitem__)])
