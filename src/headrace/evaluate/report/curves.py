"""Curves of predictions against labels for a model report, as points to draw.

| symbol | meaning                                  | shape |
|--------|------------------------------------------|-------|
| y      | label: 0 / 1, or a number for regression | [n]   |
| p      | prediction: probability, or a number     | [n]   |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.evaluate.metrics import Floats

MAX_POINTS = 100
_BINS = 10
_HISTOGRAM_BINS = 12


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points of a curve, x and y of one length. counts: rows behind each point; empty where that has no meaning."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    counts: tuple[int, ...] = ()


def roc_curve(y: Floats, p: Floats) -> Curve:
    """Return the share of positives found (y) by the share of negatives flagged (x), for all thresholds."""
    from sklearn import metrics

    x, found, _ = metrics.roc_curve(y, p)
    return _thinned(x, found)


def precision_recall_curve(y: Floats, p: Floats) -> Curve:
    """Return the share of hits among the flagged rows (y) by the share of positives found (x)."""
    from sklearn import metrics

    precision, recall, _ = metrics.precision_recall_curve(y, p)
    return _thinned(recall[::-1], precision[::-1])


def calibration(y: Floats, p: Floats, bins: int = _BINS) -> Curve:
    """Return the mean label (y) by the mean prediction (x), in groups of equally many rows by prediction."""
    order = np.argsort(p, kind="stable")
    groups = [group for group in np.array_split(order, min(bins, len(p))) if len(group)]
    return Curve(
        x=tuple(float(p[group].mean()) for group in groups),
        y=tuple(float(y[group].mean()) for group in groups),
        counts=tuple(len(group) for group in groups),
    )


def residuals(y: Floats, p: Floats, bins: int = _HISTOGRAM_BINS) -> Curve:
    """Return the histogram of label less prediction: middles of the bins (x) and shares of rows (y).

    The outermost hundredths are counted in the first and the last bin.
    """
    errors = y - p
    low, high = np.quantile(errors, [0.01, 0.99])
    if not high > low:
        return Curve(x=(float(low),), y=(1.0,), counts=(len(errors),))
    edges = np.linspace(low, high, bins + 1)
    counts, _ = np.histogram(np.clip(errors, low, high), bins=edges)
    middles = (edges[:-1] + edges[1:]) / 2
    return Curve(
        x=tuple(middles.tolist()), y=tuple((counts / len(errors)).tolist()), counts=tuple(int(one) for one in counts)
    )


def _thinned(x: Floats, y: Floats) -> Curve:
    """Return at most MAX_POINTS of the points, evenly spread along the curve's length."""
    if len(x) > MAX_POINTS:
        steps = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        places = np.searchsorted(steps, np.linspace(0, steps[-1], MAX_POINTS))
        places = np.unique(np.concatenate([[0], places, [len(x) - 1]]).clip(0, len(x) - 1))
        x, y = x[places], y[places]
    return Curve(x=tuple(float(one) for one in x), y=tuple(float(one) for one in y))
