"""Metrics with a direction: one catalogue, each metric once, its bootstrap beside it.

| symbol | meaning                                    | shape  |
|--------|--------------------------------------------|--------|
| y      | label: 0 / 1, or a number for regression   | [n]    |
| p      | prediction: probability, or a number       | [n]    |
| g      | group (day) of each row, 0 .. D-1          | [n]    |
| W      | how often each resample drew each group    | [R, D] |

A resample by group weighs all rows of a group alike, so a metric over R resamples needs sums per group only:
means from group sums, and the AUC from C [D, D], where C[d, e] counts the pairs (positive in d, negative in e) in the
right order (ties half): AUC_r = W_r C W_r' / (W_r . positives * W_r . negatives). Exact, and free of R sorts. Average
precision weighs the rows of one order by prediction: cumulative sums [R, n], in slices of R that bound the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.schema.metrics import QUANTILE, quantile_level

Floats = NDArray[np.float64]
Groups = NDArray[np.int64]

_CLIP = 1e-15
#: Numbers of one slice of weighed rows [resamples, n].
_SLICE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric with a direction.

    Attributes:
        name: Name in METRICS.
        greater_is_better: Its direction.
        binary: Whether y is 0 / 1 and p a probability; otherwise both are numbers.
        resampled: (y [n], p [n], g [n], W [R, D]) -> values [R], NaN where a resample has one class only.
        constant: Labels [n] -> the constant prediction that optimises the metric.
        ranks: Whether only the order of predictions counts, so that both classes must be present.
        level: Of the quantile that predictions are of; of `mae` 0.5, the median. None: no quantile.
        log_scale: Whether errors are of log(1 + y), so that labels are at least 0.
    """

    name: str
    greater_is_better: bool
    binary: bool
    resampled: Callable[[Floats, Floats, Groups, Floats], Floats]
    constant: Callable[[Floats], Any] = np.mean
    ranks: bool = False
    level: float | None = None
    log_scale: bool = False

    def value(self, label: Floats, prediction: Floats) -> float:
        """Compute the metric of predictions [n] for labels [n].

        Raises:
            DataError: NaN, infinity, different shapes, or one class for a ranking metric.
        """
        y, p = self.checked(label, prediction)
        values = self.resampled(y, p, np.zeros(len(y), dtype=np.int64), np.ones((1, 1)))
        return float(values[0])

    def loss(self, label: Floats, prediction: Floats) -> float:
        """Compute the metric as a loss: lower is better."""
        return self.sign * -self.value(label, prediction)

    @property
    def sign(self) -> float:
        """+1 where greater is better, -1 where lower is: sign * (a - b) > 0 means a is better."""
        return 1.0 if self.greater_is_better else -1.0

    def checked(self, label: Floats, prediction: Floats) -> tuple[Floats, Floats]:
        """Return labels and predictions as float64 [n], after validation.

        Raises:
            DataError: NaN, infinity, different shapes, or one class for a ranking metric.
        """
        y = require_finite(label, "label")
        p = require_finite(prediction, "prediction")
        if y.shape != p.shape or y.ndim != 1 or not len(y):
            raise DataError(f"labels {y.shape} and predictions {p.shape} have different shapes", where=self.name)
        if self.log_scale and y.min() < 0:
            raise DataError("a label is negative", where=self.name, found=[float(y.min())], fix="use rmse or mae")
        if self.binary:
            classes = np.unique(y)
            if not set(classes.tolist()) <= {0.0, 1.0}:
                raise DataError("a binary label must be 0 or 1", where=self.name, found=classes[:10].tolist())
            if self.ranks and len(classes) < 2:
                raise DataError("the label has one class only", where=self.name, found=classes.tolist())
        return y, p


def require_finite(values: Floats, what: str) -> Floats:
    """Return values as float64.

    Raises:
        DataError: A value is NaN or infinite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    n_bad = int((~np.isfinite(numbers)).sum())
    if n_bad:
        raise DataError(
            f"{n_bad} of {numbers.size} values are NaN or infinite", where=what, fix="drop or repair those rows"
        )
    return numbers


def _auc(y: Floats, p: Floats, g: Groups, weights: Floats) -> Floats:
    pairs, positives, negatives = ordered_pairs(y, p, g, weights.shape[1])
    concordant = np.einsum("rd,rd->r", weights @ pairs, weights)
    total = (weights @ positives) * (weights @ negatives)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, concordant / total, np.nan), dtype=np.float64)


def ordered_pairs(y: Floats, p: Floats, g: Groups, groups: int) -> tuple[Floats, Floats, Floats]:
    """Compute C [D, D] of the module docstring, positives per group [D] and negatives per group [D]; O(D n log n)."""
    positive = y == 1
    positives = np.bincount(g[positive], minlength=groups).astype(np.float64)
    negatives = np.bincount(g[~positive], minlength=groups).astype(np.float64)
    pairs = np.zeros((groups, groups))
    positive_predictions, group_of_positive = p[positive], g[positive]
    for group in np.flatnonzero(negatives):
        negative_predictions = np.sort(p[~positive & (g == group)])
        n_below = np.searchsorted(negative_predictions, positive_predictions, side="left")
        n_up_to = np.searchsorted(negative_predictions, positive_predictions, side="right")
        pairs[:, group] = np.bincount(group_of_positive, weights=(n_below + n_up_to) / 2, minlength=groups)
    return pairs, positives, negatives


def _average_precision(y: Floats, p: Floats, g: Groups, weights: Floats) -> Floats:
    """Sum of precision x (step in recall) over the distinct predictions, from the largest down, as in scikit-learn."""
    order = np.argsort(-p, kind="stable")
    last_of_ties = np.flatnonzero(np.diff(p[order], append=np.nan) != 0)  # of each run of equal predictions
    positive, group = y[order] == 1, g[order]
    values = np.full(len(weights), np.nan)
    step = max(1, _SLICE // len(y))
    for start in range(0, len(weights), step):
        row_weights = weights[start : start + step][:, group]
        weight_up_to = np.cumsum(row_weights, axis=1)[:, last_of_ties]
        positive_up_to = np.cumsum(row_weights * positive, axis=1)[:, last_of_ties]
        precision = np.divide(positive_up_to, weight_up_to, out=np.zeros_like(positive_up_to), where=weight_up_to > 0)
        area = (precision * np.diff(positive_up_to, axis=1, prepend=0.0)).sum(axis=1)
        has_positives = positive_up_to[:, -1] > 0
        values[start : start + step][has_positives] = area[has_positives] / positive_up_to[has_positives, -1]
    return values


def _ndcg(y: Floats, p: Floats, g: Groups, weights: Floats) -> Floats:
    """Discounted cumulative gain of all rows in one ranking, divided by that of the ideal one (Järvelin, Kekäläinen).

    Rows with equal predictions have their mean discount, as in scikit-learn. A row that a resample drew k times takes
    k positions, so the discounts of positions a+1 .. b sum to D(b) - D(a), D being the cumulative discounts.
    """
    order = np.argsort(-p, kind="stable")
    last_of_ties = np.flatnonzero(np.diff(p[order], append=np.nan) != 0)
    gain, group = y[order], g[order]
    values = np.full(len(weights), np.nan)
    for number, draws in enumerate(weights):
        row_weights = draws[group]
        up_to, gained = np.cumsum(row_weights)[last_of_ties], np.cumsum(row_weights * gain)[last_of_ties]
        total = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, round(up_to[-1]) + 2)))])
        discounts = np.diff(total[np.rint(up_to).astype(np.int64)], prepend=0.0)
        rows, gains = np.diff(up_to, prepend=0.0), np.diff(gained, prepend=0.0)
        mean_gain = np.divide(gains, rows, out=np.zeros_like(gains), where=rows > 0)
        ideal = total[round(gained[-1])]
        if 0 < gained[-1] < up_to[-1]:
            values[number] = (mean_gain * discounts).sum() / ideal
    return values


def _mean(row_loss: Callable[[Floats, Floats], Floats], *, root: bool = False) -> Callable[..., Floats]:
    """Build a metric that is the mean of a loss over rows (or its root), from sums per group."""

    def resampled(y: Floats, p: Floats, g: Groups, weights: Floats) -> Floats:
        sums = np.bincount(g, weights=row_loss(y, p), minlength=weights.shape[1])
        counts = np.bincount(g, minlength=weights.shape[1])
        mean = (weights @ sums) / (weights @ counts)
        return np.asarray(np.sqrt(mean) if root else mean, dtype=np.float64)

    return resampled


def _log_loss_rows(y: Floats, p: Floats) -> Floats:
    clipped = np.clip(p, _CLIP, 1 - _CLIP)
    return np.asarray(-(y * np.log(clipped) + (1 - y) * np.log1p(-clipped)), dtype=np.float64)


def _squared_rows(y: Floats, p: Floats) -> Floats:
    return np.asarray((y - p) ** 2, dtype=np.float64)


def _absolute_rows(y: Floats, p: Floats) -> Floats:
    return np.asarray(np.abs(y - p), dtype=np.float64)


def _log_rows(y: Floats, p: Floats) -> Floats:
    return np.asarray((np.log1p(y) - np.log1p(np.maximum(p, 0.0))) ** 2, dtype=np.float64)


def _log_mean(y: Floats) -> float:
    return float(np.expm1(np.mean(np.log1p(y))))


def _quantile(level: float) -> Metric:
    """Build the quantile loss of a level (Koenker and Bassett, 1978); `mae` is twice that of level 0.5."""

    def rows(y: Floats, p: Floats) -> Floats:
        return np.asarray(np.maximum(level * (y - p), (level - 1) * (y - p)), dtype=np.float64)

    return Metric(
        name=f"{QUANTILE}{level:g}",
        greater_is_better=False,
        binary=False,
        resampled=_mean(rows),
        constant=lambda y: float(np.quantile(y, level)),
        level=level,
    )


class _Catalogue(dict[str, Metric]):
    """Metrics by name. A quantile loss of any level is found by name, and is not listed."""

    def __missing__(self, name: str) -> Metric:
        level = quantile_level(name)
        if level is None:
            raise KeyError(name)
        return _quantile(level)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and quantile_level(name) is not None)


def metrics_beside(name: str, label: Floats) -> dict[str, Metric]:
    """Return the metric `name` and all others that labels [n] of the same kind can be measured by, by name."""
    own = METRICS[name]
    others = {one.name: one for one in METRICS.values() if one.binary == own.binary}
    negative = bool(len(label)) and float(np.min(label)) < 0
    return {name: own} | {key: one for key, one in others.items() if not (one.log_scale and negative)}


METRICS: dict[str, Metric] = _Catalogue(
    (metric.name, metric)
    for metric in (
        Metric(name="auc", greater_is_better=True, binary=True, resampled=_auc, ranks=True),
        Metric(name="average_precision", greater_is_better=True, binary=True, resampled=_average_precision, ranks=True),
        Metric(name="log_loss", greater_is_better=False, binary=True, resampled=_mean(_log_loss_rows)),
        Metric(name="brier", greater_is_better=False, binary=True, resampled=_mean(_squared_rows)),
        Metric(name="ndcg", greater_is_better=True, binary=True, resampled=_ndcg, ranks=True),
        Metric(name="rmse", greater_is_better=False, binary=False, resampled=_mean(_squared_rows, root=True)),
        Metric(
            name="mae",
            greater_is_better=False,
            binary=False,
            resampled=_mean(_absolute_rows),
            constant=np.median,
            level=0.5,
        ),
        Metric(
            name="rmsle",
            greater_is_better=False,
            binary=False,
            resampled=_mean(_log_rows, root=True),
            constant=_log_mean,
            log_scale=True,
        ),
    )
)
