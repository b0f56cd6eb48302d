"""Compare the quality of predictions on matured labels with the reference: metrics, intervals, significant drops.

Each metric has an interval from a bootstrap by day (by blocks of rows where there are no cutoffs), as in the gate. A
drop is tested by Welch's t-test (1947) on the bootstrap variances of both sides, so that few days give few degrees of
freedom. The calibration error is reported but not tested: log loss includes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from headrace.evaluate.gate import resample_groups
from headrace.evaluate.metrics import METRICS, Floats, Groups
from headrace.schema.metrics import quantile_level

_RESAMPLES = 400
#: Number of blocks where there are no cutoffs; fewest groups with which a drop is tested.
_BLOCKS, _MIN_GROUPS = 50, 4
_MIN_LABELS = 30
_BINS = 10
#: Smallest drop that counts: absolute, or relative for the metrics of RELATIVE_MARGINS.
MARGINS = {
    "auc": 0.02, "average_precision": 0.1, "log_loss": 0.02, "brier": 0.05, "ndcg": 0.02, "rmse": 0.05, "mae": 0.05,
    "rmsle": 0.05,
}  # fmt: skip
#: The same for quantile losses.
_QUANTILE_MARGIN = 0.05
#: Metrics in the label's unit, or whose scale depends on the share of positives: their margin is relative.
RELATIVE_MARGINS = frozenset({"average_precision", "brier", "rmse", "mae", "rmsle"})
CALIBRATION = "calibration_error"


@dataclass(frozen=True, kw_only=True)
class MetricEvidence:
    """One metric of a window.

    Attributes:
        value: The metric.
        low, high: Its 90 % interval.
        reference: The metric of the reference, None where there is none.
        drop: How much worse it is than the reference; positive is worse.
        p_value: Probability of such a drop without a change; 1 where it was not tested.
        dropped: Whether the drop is significant and at least the margin.
    """

    value: float
    low: float
    high: float
    reference: float | None = None
    drop: float = 0.0
    p_value: float = 1.0
    dropped: bool = False


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Quality of a window.

    Attributes:
        metrics: Metric -> evidence: the problem's metric; with a binary label also auc, log_loss, calibration_error.
        dropped: Whether any metric dropped.
        labelled: Rows with a label and a prediction.
        positive_share: Share of positive labels, for a binary label.
        note: What dropped, or why something was not tested.
    """

    metrics: Mapping[str, MetricEvidence] = field(default_factory=dict)
    dropped: bool = False
    labelled: int = 0
    positive_share: float | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Side:
    """Labels y [n], predictions p [n], group of each row [n], and bootstrap weights of the groups [R, D]."""

    y: Floats
    p: Floats
    groups: Groups
    weights: Floats

    def metric(self, name: str) -> tuple[float, Floats]:
        """Compute a metric on all rows, and on each resample [R]."""
        measure = _calibration if name == CALIBRATION else METRICS[name].resampled
        ones = np.ones((1, self.weights.shape[1]))
        every = measure(self.y, self.p, self.groups, np.vstack([ones, self.weights]))
        return float(every[0]), every[1:]


def performance(
    label: Floats,
    prediction: Floats,
    *,
    reference_label: Floats | None = None,
    reference_prediction: Floats | None = None,
    reference_cutoffs_us: Groups | None = None,
    reference_metrics: Mapping[str, float] | None = None,
    cutoffs_us: Groups | None = None,
    metric: str = "auc",
    margin: float | None = None,
    alpha: float = 0.002,
    seed: int = 0,
) -> Performance:
    """Measure predictions on matured labels and test for drops.

    Args:
        label: Labels [n], NaN where immature.
        prediction: Predictions [n].
        reference_label: Labels of the reference rows [k].
        reference_prediction: Predictions of the reference rows [k].
        reference_cutoffs_us: Cutoffs of the reference rows [k].
        reference_metrics: Metric -> value of the reference, treated as exact; used where there are no reference rows.
        cutoffs_us: Cutoffs [n]; days are resampled. None resamples blocks of rows.
        metric: The problem's metric.
        margin: Smallest drop of that metric that counts; `MARGINS` where None, and for the other metrics.
        alpha: Significance level.
        seed: Of the bootstrap.
    """
    binary = METRICS[metric].binary
    complete = np.isfinite(label) & np.isfinite(prediction)
    count = int(complete.sum())
    y, p = np.asarray(label[complete], np.float64), np.asarray(prediction[complete], np.float64)
    facts: dict[str, Any] = {"labelled": count, "positive_share": float(y.mean()) if binary and count else None}
    if count < _MIN_LABELS:
        note = (
            "no labels yet" if not count else f"{count} labels, too few to measure: at least {_MIN_LABELS} are needed"
        )
        return Performance(note=note, **facts)
    if binary and not np.isin(y, (0.0, 1.0)).all():
        return Performance(note="labels are not 0 or 1", **facts)
    current = _side(y, p, None if cutoffs_us is None else cutoffs_us[complete], seed)
    reference = _reference(reference_label, reference_prediction, reference_cutoffs_us, binary, seed)
    names = _names(y, metric)
    margins = MARGINS if margin is None else MARGINS | {metric: margin}
    metrics = {
        name: _metric_evidence(name, current, reference, reference_metrics or {}, len(names), alpha, margins)
        for name in names
    }
    dropped = [name for name, evidence in metrics.items() if evidence.dropped]
    return Performance(metrics=metrics, dropped=bool(dropped), note=_note(y, binary, dropped, current), **facts)


def _names(y: Floats, metric: str) -> tuple[str, ...]:
    """Return the names of the metrics, the problem's first; with one class, ranking metrics are undefined."""
    if not METRICS[metric].binary:
        return (metric,)
    both = len(np.unique(y)) == 2
    names = [name for name in dict.fromkeys((metric, "auc", "log_loss")) if both or not METRICS[name].ranks]
    return (*names, CALIBRATION)


def _side(y: Floats, p: Floats, cutoffs_us: Groups | None, seed: int) -> _Side:
    rng = np.random.default_rng([seed, len(y)])
    if cutoffs_us is None:
        groups = rng.permutation(len(y)) % min(_BLOCKS, len(y))
    else:
        groups = resample_groups(np.asarray(cutoffs_us, dtype=np.int64))[1]
    count = int(groups.max()) + 1
    weights = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES).astype(np.float64)
    return _Side(y, p, groups.astype(np.int64), weights)


def _reference(
    label: Floats | None, prediction: Floats | None, cutoffs_us: Groups | None, binary: bool, seed: int
) -> _Side | None:
    if label is None or prediction is None:
        return None
    complete = np.isfinite(label) & np.isfinite(prediction)
    y, p = label[complete], prediction[complete]
    if len(y) < _MIN_LABELS or (binary and set(np.unique(y).tolist()) != {0.0, 1.0}):
        return None
    return _side(y, p, None if cutoffs_us is None else cutoffs_us[complete], seed + 1)


def _metric_evidence(
    name: str,
    current: _Side,
    reference: _Side | None,
    metrics: Mapping[str, float],
    tests: int,
    alpha: float,
    margins: Mapping[str, float],
) -> MetricEvidence:
    value, draws = current.metric(name)
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return MetricEvidence(value=value, low=value, high=value)
    low, high = (float(edge) for edge in np.quantile(draws, [0.05, 0.95]))
    reference_value, reference_draws = (metrics.get(name), None) if reference is None else reference.metric(name)
    if reference_value is None or not np.isfinite(reference_value):
        return MetricEvidence(value=value, low=low, high=high)
    if name == CALIBRATION:
        return MetricEvidence(value=value, low=low, high=high, reference=reference_value, drop=value - reference_value)
    drop = METRICS[name].sign * (reference_value - value)
    sides = [_variance(draws, current)]
    if reference is not None and reference_draws is not None:
        sides.append(_variance(reference_draws[np.isfinite(reference_draws)], reference))
    p_value = _p_value(drop, sides)
    relative = name in RELATIVE_MARGINS or quantile_level(name) is not None
    margin = margins.get(name, _QUANTILE_MARGIN) * (abs(reference_value) if relative else 1.0)
    dropped = p_value * max(1, tests - 1) <= alpha and drop >= margin
    return MetricEvidence(
        value=value, low=low, high=high, reference=reference_value, drop=drop, p_value=p_value, dropped=dropped
    )


def _variance(draws: Floats, side: _Side) -> tuple[float, int]:
    """Return the variance of a metric and the number of groups; the bootstrap of D groups is biased by (D - 1) / D."""
    groups = side.weights.shape[1]
    return (float(draws.var()) * groups / max(1, groups - 1) if len(draws) else np.nan), groups


def _p_value(drop: float, sides: list[tuple[float, int]]) -> float:
    from scipy import stats

    variance = sum(side_variance for side_variance, _ in sides)
    if min(groups for _, groups in sides) < _MIN_GROUPS or not np.isfinite(variance) or variance == 0:
        return 1.0
    freedom = variance**2 / sum(side_variance**2 / (groups - 1) for side_variance, groups in sides)
    return float(stats.t.sf(drop / np.sqrt(variance), freedom))


def _calibration(y: Floats, p: Floats, groups: Groups, weights: Floats) -> Floats:
    """Expected calibration error [R]: mean |observed - predicted| in ten bins of equal counts (Naeini et al. 2015)."""
    edges = np.unique(np.quantile(p, np.arange(1, _BINS) / _BINS))
    bins, shape = np.searchsorted(edges, p, side="right"), (weights.shape[1], len(edges) + 1)
    gaps = np.zeros(shape)
    np.add.at(gaps, (groups, bins), y - p)
    counts = np.bincount(groups, minlength=shape[0]).astype(np.float64)
    return np.asarray(np.abs(weights @ gaps).sum(axis=1) / (weights @ counts), dtype=np.float64)


def _note(y: Floats, binary: bool, dropped: list[str], current: _Side) -> str:
    notes = []
    if dropped:
        notes.append(f"worse than the reference: {', '.join(dropped)}")
    if binary and len(np.unique(y)) < 2:
        notes.append("labels are of one class: no AUC")
    if current.weights.shape[1] < _MIN_GROUPS:
        notes.append("too few days to judge a drop")
    return "; ".join(notes)
