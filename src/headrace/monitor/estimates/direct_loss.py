"""Estimate rmse and mae of a window before its labels come: direct loss estimation (DLE; NannyML, 2022), for reports.

A small LightGBM model predicts each row's loss (the squared or absolute error) from the features and the prediction. It
is fitted on held-out rows, out of fold over contiguous blocks of days. The interval comes from realised less estimated
mean loss by day (`estimates.performance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.evaluate.gate import resample_groups
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design
from headrace.models.families import get_family
from headrace.models.families.protocol import Fitted
from headrace.monitor.estimates.calibration import Floats, Groups, contiguous_folds
from headrace.monitor.estimates.performance import (
    MIN_LABELS,
    HeldOut,
    PerformanceEstimate,
    day_draws,
    drop_p_value,
    half_width,
    second_moment,
)

_ROUNDS = 80
_CONFIG = {
    "num_leaves": 7, "learning_rate": 0.1, "min_data_in_leaf": 20, "lambda_l2": 1.0, "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
}  # fmt: skip


def estimate_regression(
    held_out: HeldOut,
    design: Design,
    current: Design,
    prediction: Floats,
    cutoffs_us: Groups,
    *,
    metrics: Sequence[str] = ("rmse", "mae"),
    label: Floats | None = None,
    seed: int = 0,
) -> tuple[PerformanceEstimate, ...]:
    """Estimate metrics of a model that predicts a number.

    Args:
        held_out: Rows with labels, in order of cutoff.
        design: Their features [k, d], in the same order.
        current: Features of the window [n, d].
        prediction: Predictions of the window [n].
        cutoffs_us: Their cutoffs [n], microseconds UTC.
        metrics: Of `rmse` and `mae`.
        label: Labels of the window [n], NaN where immature, for the realised metrics.
        seed: Of the fits and the resamples.
    """
    rng = np.random.default_rng([seed, len(prediction)])
    days = _draw_days(held_out.groups, resample_groups(cutoffs_us)[1], rng)
    known, rows = _with_prediction(design, held_out.prediction), _with_prediction(current, prediction)
    estimates = []
    for name in metrics:
        losses = _fit_loss(known, _row_loss(name, held_out.prediction, held_out.label), rows, days.held_out, seed)
        realised, matured = _realised(name, prediction, label)
        estimates.append(PerformanceEstimate(**_estimated(name, losses, days, rng), realised=realised, matured=matured))
    return tuple(estimates)


@dataclass(frozen=True, kw_only=True)
class _Days:
    """The days of the held-out rows and of the window.

    Attributes:
        held_out: Day of each held-out row [k].
        window: Day of each row of the window [n].
        drawn: Weights of the held-out rows [R, k]: as many of their days as the window has, drawn with replacement.
        factor: D / (D - 1) of the D held-out days, which removes the bias of a variance over such draws.
    """

    held_out: Groups
    window: Groups
    drawn: Floats
    factor: float

    @property
    def n_held_out(self) -> int:
        return int(self.held_out.max()) + 1

    @property
    def n_window(self) -> int:
        return int(self.window.max(initial=0)) + 1


@dataclass(frozen=True, kw_only=True)
class _Losses:
    """The losses of rows in one metric: squared or absolute errors.

    Attributes:
        realised: Losses of the held-out rows [k].
        held_out: Losses that the model predicts for them [k], out of fold.
        window: Losses that the model predicts for the rows of the window [n].
    """

    realised: Floats
    held_out: Floats
    window: Floats

    @property
    def ratio(self) -> float:
        """Factor of predicted losses with which those of the held-out rows have the mean of the realised ones."""
        return float(self.realised.sum() / max(self.held_out.sum(), 1e-300))


def _draw_days(held_out: Groups, window: Groups, rng: np.random.Generator) -> _Days:
    drawn, factor = day_draws(held_out, int(window.max(initial=0)) + 1, rng)
    return _Days(held_out=held_out, window=window, drawn=drawn, factor=factor)


def _estimated(name: str, losses: _Losses, days: _Days, rng: np.random.Generator) -> dict[str, Any]:
    """Return the fields of an estimate that need no labels of the window."""
    value = _metric_of_mean(name, losses.window.mean() * losses.ratio)
    reference = _metric_of_mean(name, losses.realised.mean())
    # Losses scatter in proportion to their size, so a harder window has a wider interval.
    growth = max(1.0, (value / reference) ** 2) if reference > 0 else 1.0
    half = half_width(_error_variance(name, losses, days) * growth, days.n_held_out)
    drop = value - _metric_of_mean(name, losses.held_out.mean() * losses.ratio)
    window_factor = days.n_window / max(1, days.n_window - 1)
    sides = [
        (_by_day(name, losses.held_out * losses.ratio, days.held_out, rng), days.factor, days.n_held_out),
        (_by_day(name, losses.window * losses.ratio, days.window, rng), window_factor, days.n_window),
    ]
    return {
        "metric": name,
        "value": value,
        "low": max(value - half, 0.0),
        "high": value + half,
        "reference": reference,
        "drop": drop,
        "p_value": drop_p_value(drop, sides),
    }


def _error_variance(name: str, losses: _Losses, days: _Days) -> float:
    """Return the variance of realised less estimated metric in a window as hard as the held-out rows."""
    rows = days.drawn.sum(axis=1)
    realised = _metric(name, days.drawn @ losses.realised / rows)
    errors = realised - _metric(name, days.drawn @ (losses.held_out * losses.ratio) / rows)
    # More rows a day than the held-out rows had do not narrow what days have in common, and fewer widen the interval.
    scale = max(1.0, float(rows.mean()) / max(len(days.window), 1))
    return second_moment(errors) * days.factor * (1 + days.n_window / days.n_held_out) * scale


def _fit_loss(known: Design, loss: Floats, rows: Design, days: Groups, seed: int) -> _Losses:
    """Fit models of the loss [k] of the held-out rows, and predict that of both sides.

    Args:
        known: Features of the held-out rows [k, d].
        loss: Their realised losses [k].
        rows: Features of the window's rows [n, d].
        days: Day of each held-out row [k]; folds are contiguous blocks of days.
        seed: Of the fits.
    """
    folds = contiguous_folds(days)
    out_of_fold = np.full(len(loss), float(loss.mean()))
    for fold in np.unique(folds):
        inside = folds == fold
        if not inside.all():
            model = _fit(known.rows(np.flatnonzero(~inside)), loss[~inside], seed)
            out_of_fold[inside] = model.predict(known.rows(np.flatnonzero(inside)))
    estimated = _fit(known, loss, seed).predict(rows)
    return _Losses(realised=loss, held_out=np.maximum(out_of_fold, 0.0), window=np.maximum(estimated, 0.0))


def _fit(design: Design, loss: Floats, seed: int) -> Fitted:
    family = get_family("lightgbm")
    config = {**family.default(), **{key: value for key, value in _CONFIG.items() if key in family.default()}}
    return family.fit(design, loss, config, metric=METRICS["rmse"], rounds=_ROUNDS, seed=seed)


def _with_prediction(design: Design, prediction: Floats) -> Design:
    column = np.asarray(prediction, dtype=np.float32)[:, None]
    return Design(X=np.hstack([design.X, column]), names=(*design.names, "_prediction"), categorical=design.categorical)


def _by_day(name: str, loss: Floats, groups: Groups, rng: np.random.Generator) -> Floats:
    """Return the metric of row losses [n] on resamples of their days [R]."""
    drawn, _ = day_draws(groups, int(groups.max()) + 1, rng)
    return _metric(name, drawn @ loss / drawn.sum(axis=1))


def _row_loss(name: str, prediction: Floats, label: Floats) -> Floats:
    error = np.asarray(label - prediction, dtype=np.float64)
    return np.asarray(error**2 if name == "rmse" else np.abs(error), dtype=np.float64)


def _metric(name: str, mean_loss: Floats) -> Floats:
    """Return the metric of mean losses [R]."""
    return np.asarray(np.sqrt(mean_loss) if name == "rmse" else mean_loss, dtype=np.float64)


def _metric_of_mean(name: str, mean_loss: float) -> float:
    return float(_metric(name, np.array([mean_loss]))[0])


def _realised(name: str, prediction: Floats, label: Floats | None) -> tuple[float | None, float]:
    known = np.isfinite(label) if label is not None else np.zeros(len(prediction), dtype=np.bool_)
    matured = float(known.mean()) if len(known) else 0.0
    if label is None or known.sum() < MIN_LABELS:
        return None, matured
    return _metric_of_mean(name, _row_loss(name, prediction[known], label[known]).mean()), matured
