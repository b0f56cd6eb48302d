"""Estimate the performance of a window before its labels come, each metric with its interval, for people and reports.

Binary labels: predictions are calibrated on held-out rows, and the expected metric follows from the calibrated
probabilities (confidence-based performance estimation, CBPE). Numbers: a small model of each row's loss is fitted on
held-out rows (direct loss estimation, DLE; both NannyML, 2022). Both assume that the relation between features and
label has not changed. They see a change of the features that makes rows harder, and no change of that relation.

The error of an estimate is measured where labels are known: out of fold on the held-out rows, realised less estimated,
resampled by day, with as many days as the window has. t quantiles with D - 1 degrees of freedom account for few days D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from headrace.evaluate.gate import resample_groups
from headrace.monitor.estimates.calibration import (
    Calibration,
    Floats,
    Groups,
    contiguous_folds,
    cross_fitted,
    fit_calibration,
)
from headrace.monitor.estimates.expected import DecisionRule, expected_metric, greater_is_better

_RESAMPLES, _LABEL_DRAWS = 200, 60
_LEVEL = 0.9
_RULE = DecisionRule()
MIN_LABELS, _MIN_DAYS = 50, 4


@dataclass(frozen=True, kw_only=True)
class PerformanceEstimate:
    """One estimated metric of a window.

    Attributes:
        metric: Name of the metric.
        value: The estimate over all rows of the window.
        low, high: Interval that covers the realised metric with probability .9 while the model stays calibrated.
        reference: The realised metric on the held-out rows.
        realised: The metric on the matured labels of the window, None while there are too few.
        matured: Share of the window's rows with a label.
        drop: How much worse the window is expected to be than the held-out rows, both estimated; positive is worse.
        p_value: Probability of such a drop without a change of the features, from the variation between days.
    """

    metric: str
    value: float
    low: float
    high: float
    reference: float
    realised: float | None = None
    matured: float = 0.0
    drop: float = 0.0
    p_value: float = 1.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Rows that the model was not fitted on: predictions [k], labels [k], cutoffs [k] (us)."""

    prediction: Floats
    label: Floats
    cutoffs_us: Groups

    def __post_init__(self) -> None:
        order = np.argsort(self.cutoffs_us, kind="stable")
        for name in ("prediction", "label", "cutoffs_us"):
            object.__setattr__(self, name, np.asarray(getattr(self, name))[order])

    @property
    def groups(self) -> Groups:
        """The day of each row [k]."""
        return resample_groups(self.cutoffs_us)[1]


def estimate_binary(
    held_out: HeldOut,
    prediction: Floats,
    cutoffs_us: Groups,
    *,
    metrics: Sequence[str] = ("auc", "log_loss", "brier", "accuracy", "f1"),
    label: Floats | None = None,
    rule: DecisionRule = _RULE,
    seed: int = 0,
) -> tuple[tuple[PerformanceEstimate, ...], Calibration]:
    """Estimate metrics of a binary model from its predictions alone.

    Args:
        held_out: Rows with labels of both classes, from which the calibration and the errors come.
        prediction: Predictions of the window [n].
        cutoffs_us: Their cutoffs [n], microseconds UTC.
        metrics: Names in `expected.EXPECTED`.
        label: Labels of the window [n], NaN where immature, for the realised metrics.
        rule: What is decided by a prediction, for the metrics of decisions.
        seed: Of the resamples.

    Returns:
        One estimate per metric, and the calibration.
    """
    rng = np.random.default_rng([seed, len(prediction)])
    groups, window_groups = held_out.groups, resample_groups(cutoffs_us)[1]
    calibration = fit_calibration(held_out.prediction, held_out.label, groups)
    out_of_fold = cross_fitted(calibration.kind, held_out.prediction, held_out.label, contiguous_folds(groups))
    as_many_days, _ = day_draws(groups, int(window_groups.max(initial=0)) + 1, rng)
    before, now = _sides(
        (held_out.prediction, out_of_fold, groups), (prediction, calibration(prediction), window_groups), rng=rng
    )
    estimates = [
        PerformanceEstimate(
            **_estimated(name, held_out, before, now, as_many_days, rule), **_realised(name, prediction, label, rule)
        )
        for name in metrics
    ]
    return tuple(estimates), calibration


@dataclass(frozen=True, kw_only=True)
class _Side:
    """The held-out rows, or the rows of the window.

    Attributes:
        prediction: Predictions of the model [n].
        probability: Calibrated probabilities that the label is true [n]; of held-out rows, out of fold.
        days: Number of days D.
        drawn: Weights of the rows [R, n]: D days drawn with replacement.
        factor: D / (D - 1), which removes the bias of a variance over such draws.
        labels: Labels drawn from the probabilities [L, n].
    """

    prediction: Floats
    probability: Floats
    days: int
    drawn: Floats
    factor: float
    labels: Floats

    def expected(self, metric: str, rule: DecisionRule) -> tuple[float, Floats]:
        """Return the expected metric of all rows, and that of each draw of days [R]."""
        weights = np.vstack([np.ones(len(self.prediction)), self.drawn])
        values = expected_metric(metric, self.prediction, self.probability, weights, rule)
        return float(values[0]), values[1:]

    def label_noise(self, metric: str, rule: DecisionRule) -> float:
        """Return the variance of the metric over the drawn labels: no model of the window can avoid it."""
        values = np.concatenate([expected_metric(metric, self.prediction, one, None, rule) for one in self.labels])
        values = values[np.isfinite(values)]
        return float(values.var()) if len(values) > 1 else 0.0


def _sides(*rows: tuple[Floats, Floats, Groups], rng: np.random.Generator) -> list[_Side]:
    """Draw days, then labels, of each (predictions [n], probabilities [n], days of the rows [n])."""
    days = [int(groups.max()) + 1 for _, _, groups in rows]
    draws = [day_draws(groups, count, rng) for (_, _, groups), count in zip(rows, days, strict=True)]
    labels = [(rng.random((_LABEL_DRAWS, len(p))) < p).astype(np.float64) for _, p, _ in rows]
    return [
        _Side(prediction=prediction, probability=p, days=count, drawn=drawn, factor=factor, labels=own_labels)
        for (prediction, p, _), count, (drawn, factor), own_labels in zip(rows, days, draws, labels, strict=True)
    ]


def _estimated(
    metric: str, held_out: HeldOut, before: _Side, now: _Side, as_many_days: Floats, rule: DecisionRule
) -> dict[str, Any]:
    """Return the fields of an estimate that need no labels of the window.

    Args:
        metric: Name of the metric.
        held_out: Rows with labels [k].
        before: The same rows.
        now: The rows of the window.
        as_many_days: Weights of the held-out rows [R, k]: as many of their days as the window has.
        rule: What is decided by a prediction.
    """
    value = float(expected_metric(metric, now.prediction, now.probability, None, rule)[0])
    half = half_width(_error_variance(metric, held_out, before, now, as_many_days, rule), before.days)
    reference, reference_draws = before.expected(metric, rule)
    current, current_draws = now.expected(metric, rule)
    drop = (reference - current) * (1.0 if greater_is_better(metric) else -1.0)
    sides = [(reference_draws, before.factor, before.days), (current_draws, now.factor, now.days)]
    return {
        "metric": metric,
        "value": value,
        "low": value - half,
        "high": value + half,
        "reference": float(expected_metric(metric, held_out.prediction, held_out.label, None, rule)[0]),
        "drop": drop,
        "p_value": drop_p_value(drop, sides),
    }


def _error_variance(
    metric: str, held_out: HeldOut, before: _Side, now: _Side, as_many_days: Floats, rule: DecisionRule
) -> float:
    """Return the variance of realised less estimated metric in a window, from that of held-out days."""
    realised = expected_metric(metric, held_out.prediction, held_out.label, as_many_days, rule)
    errors = realised - expected_metric(metric, before.prediction, before.probability, as_many_days, rule)
    # Rows per day differ between window and held-out rows: replace the share of the error that labels alone bring.
    rows_drawn = float(as_many_days.sum(axis=1).mean())
    held_out_noise = before.label_noise(metric, rule) * len(before.prediction) / max(rows_drawn, 1.0)
    between = max(second_moment(errors) * before.factor - held_out_noise, 0.0)
    return between * (1 + now.days / before.days) + now.label_noise(metric, rule)


def day_draws(groups: Groups, days: int, rng: np.random.Generator) -> tuple[Floats, float]:
    """Draw `days` days with replacement, R times: weights of rows [R, k], and the bias factor D / (D - 1)."""
    count = int(groups.max()) + 1
    draws = rng.multinomial(max(days, 1), np.full(count, 1 / count), size=_RESAMPLES).astype(np.float64)
    return draws[:, groups], count / max(1, count - 1)


def second_moment(errors: Floats) -> float:
    """Return the mean of squared errors [R], without undefined ones."""
    measured = errors[np.isfinite(errors)]
    return float((measured**2).mean()) if len(measured) else np.inf


def half_width(variance: float, days: int) -> float:
    """Return half the width of a .9 interval whose variance is known from a number of days."""
    return float(stats.t.ppf((1 + _LEVEL) / 2, max(1, days - 1)) * np.sqrt(variance))


def drop_p_value(drop: float, sides: Sequence[tuple[Floats, float, int]]) -> float:
    """Return the p-value of a drop by Welch's t-test (1947); 1 with fewer than four days on a side.

    Args:
        drop: The drop; positive is worse.
        sides: Of each side the resampled metric [R], the bias factor of its variance, and its number of days.
    """
    variances = [float(np.nanvar(values)) * factor for values, factor, _ in sides]
    days = [count for _, _, count in sides]
    if min(days) < _MIN_DAYS or not np.isfinite(sum(variances)) or sum(variances) <= 0:
        return 1.0
    freedom = sum(variances) ** 2 / sum(one**2 / (count - 1) for one, count in zip(variances, days, strict=True))
    return float(stats.t.sf(drop / np.sqrt(sum(variances)), freedom))


def _realised(name: str, prediction: Floats, label: Floats | None, rule: DecisionRule) -> dict[str, Any]:
    if label is None or not len(label):
        return {}
    known = np.isfinite(label)
    facts: dict[str, Any] = {"matured": float(known.mean())}
    if known.sum() >= MIN_LABELS:
        value = float(expected_metric(name, prediction[known], label[known], None, rule)[0])
        facts["realised"] = value if np.isfinite(value) else None
    return facts
