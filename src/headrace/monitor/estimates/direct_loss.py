"""Estimate rmse and mae of a window before its labels come: direct loss estimation (DLE; NannyML, 2022), for reports.

A small LightGBM model predicts each row's loss (the squared or absolute error) from the features and the prediction. It
is fitted on held-out rows, out of fold over contiguous blocks of days. The interval comes from realised less estimated
mean loss by day (`estimates.performance`).
"""

from __future__ import annotations

from collections.abc import Sequence

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
    groups = held_out.groups
    days = int(resample_groups(cutoffs_us)[1].max(initial=0)) + 1
    drawn, factor = day_draws(groups, days, rng)
    known, rows = _with_prediction(design, held_out.prediction), _with_prediction(current, prediction)
    # More rows a day than the held-out rows had do not narrow what days have in common, and fewer widen the interval.
    scale = max(1.0, float(drawn.sum(axis=1).mean()) / max(len(prediction), 1))
    estimates = []
    for name in metrics:
        loss = _row_loss(name, held_out.prediction, held_out.label)
        out_of_fold, estimated = _fit_loss(known, loss, rows, contiguous_folds(groups), seed)
        ratio = float(loss.sum() / max(out_of_fold.sum(), 1e-300))
        weights = drawn.sum(axis=1)
        errors = _metric(name, drawn @ loss / weights) - _metric(name, drawn @ (out_of_fold * ratio) / weights)
        value = float(_metric(name, np.array([estimated.mean() * ratio]))[0])
        reference = float(_metric(name, np.array([loss.mean()]))[0])
        # Losses scatter in proportion to their size, so a harder window has a wider interval.
        growth = max(1.0, (value / reference) ** 2) if reference > 0 else 1.0
        variance = second_moment(errors) * factor * (1 + days / (groups.max() + 1)) * scale * growth
        own_groups = resample_groups(cutoffs_us)[1]
        sides = [
            (_by_day(name, out_of_fold * ratio, groups, rng), factor, int(groups.max()) + 1),
            (_by_day(name, estimated * ratio, own_groups, rng), days / max(1, days - 1), days),
        ]
        drop = value - float(_metric(name, np.array([out_of_fold.mean() * ratio]))[0])
        half = half_width(variance, int(groups.max()) + 1)
        realised, matured = _realised(name, prediction, label)
        estimates.append(
            PerformanceEstimate(
                metric=name,
                value=value,
                low=max(value - half, 0.0),
                high=value + half,
                reference=reference,
                drop=drop,
                p_value=drop_p_value(drop, sides),
                realised=realised,
                matured=matured,
            )
        )
    return tuple(estimates)


def _fit_loss(known: Design, loss: Floats, rows: Design, folds: Groups, seed: int) -> tuple[Floats, Floats]:
    """Return the predicted loss of the held-out rows [k], out of fold, and of the window's rows [n]."""
    out_of_fold = np.full(len(loss), float(loss.mean()))
    for fold in np.unique(folds):
        inside = folds == fold
        if not inside.all():
            model = _fit(known.rows(np.flatnonzero(~inside)), loss[~inside], seed)
            out_of_fold[inside] = model.predict(known.rows(np.flatnonzero(inside)))
    estimated = _fit(known, loss, seed).predict(rows)
    return np.maximum(out_of_fold, 0.0), np.maximum(estimated, 0.0)


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
    return np.asarray(np.sqrt(mean_loss) if name == "rmse" else mean_loss, dtype=np.float64)


def _realised(name: str, prediction: Floats, label: Floats | None) -> tuple[float | None, float]:
    known = np.isfinite(label) if label is not None else np.zeros(len(prediction), dtype=np.bool_)
    matured = float(known.mean()) if len(known) else 0.0
    if label is None or known.sum() < MIN_LABELS:
        return None, matured
    mean_loss = _row_loss(name, prediction[known], label[known]).mean()
    return float(_metric(name, np.array([mean_loss]))[0]), matured
