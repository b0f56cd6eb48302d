"""The gate: decide whether a challenger becomes champion, on the newest matured rows that neither was trained on.

The interval of the difference comes from a paired bootstrap by day: days are drawn with replacement and both models are
measured on the same resample. Rows of one day are correlated, so resampling rows would give intervals that are too
narrow. A positive difference means that the challenger is better.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from headrace.core.clock import DAY
from headrace.evaluate.metrics import Floats, Groups, Metric

Change = Literal["first", "refresh", "structural"]

#: With fewer days than this, blocks of equally many rows in time are resampled instead.
_MIN_DAYS = 5
_BLOCKS = 20
#: Largest number of groups; more days are merged with their neighbours, because C of `metrics` is [groups, groups].
_MAX_GROUPS = 400


@dataclass(frozen=True, kw_only=True)
class GateDecision:
    """The decision of the gate and its evidence.

    Attributes:
        promote: Whether the challenger becomes champion.
        reason: Why, with the numbers.
        change: "first" champion, "refresh" of the same recipe on newer data, or "structural" change.
        metric: Name of the metric.
        difference: Challenger minus champion, positive is better, in the metric's unit.
        low, high: Its 90 % interval.
        challenger, champion: The metric of both (of the trivial baseline for a first champion).
        n_rows: Rows of the gate.
        n_days: Days of the gate.
        n_groups: Number of groups that were resampled.
        censored: Rows whose label will never come.
    """

    promote: bool
    reason: str
    change: Change
    metric: str
    difference: float
    low: float
    high: float
    challenger: float
    champion: float
    n_rows: int
    n_days: int
    n_groups: int
    censored: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    metric: Metric,
    label: Floats,
    challenger: Floats,
    champion: Floats | None,
    cutoffs_us: Groups,
    *,
    margin: float,
    baseline: float,
    structural: bool = False,
    censored: int = 0,
    seed: int = 0,
    resamples: int = 1000,
) -> GateDecision:
    """Compare the predictions of challenger and champion for the rows of the gate.

    A first champion must beat `baseline` at the lower end of the interval. A refresh must not be worse than the
    champion by more than `margin`; requiring significance there would keep an ageing model whenever the window is
    noisy. A structural change (other features, family or code) must be better at the lower end of the interval.

    Args:
        metric: What to compare.
        label: Labels [n].
        challenger: Predictions [n].
        champion: Predictions [n], None where there is no champion yet.
        cutoffs_us: Cutoffs [n], microseconds UTC.
        margin: Tolerated loss of a refresh, in the metric's unit.
        baseline: Constant prediction: `metric.constant` of the training labels.
        structural: Whether features, family or code changed.
        censored: Rows whose label will never come, for the record.
        seed: Of the bootstrap.
        resamples: Number of bootstrap resamples.

    Raises:
        DataError: The metric is not defined on these rows.
    """
    change: Change = "first" if champion is None else "structural" if structural else "refresh"
    against = np.full(len(label), baseline) if champion is None else champion
    y, new = metric.checked(label, challenger)
    _, old = metric.checked(label, against)
    days, groups = resample_groups(np.asarray(cutoffs_us, dtype=np.int64))
    new_value, old_value = metric.value(y, new), metric.value(y, old)
    difference, resampled = differences(metric, y, new, old, cutoffs_us, seed=seed, resamples=resamples)
    low, high = interval(resampled)
    promote, reason = _verdict(change, metric, new_value, old_value, difference, low, margin)
    return GateDecision(
        promote=promote,
        reason=reason,
        change=change,
        metric=metric.name,
        difference=difference,
        low=low,
        high=high,
        challenger=new_value,
        champion=old_value,
        n_rows=len(y),
        n_days=days,
        n_groups=int(groups.max()) + 1,
        censored=censored,
    )


def resample_groups(cutoffs_us: Groups) -> tuple[int, Groups]:
    """Return the number of days and the resampling group of each row [n], days in order."""
    _, day_of_row = np.unique(cutoffs_us // DAY, return_inverse=True)
    days = int(day_of_row.max()) + 1
    if days < _MIN_DAYS:
        from scipy.stats import rankdata  # imported here: most windows have enough days

        rank = rankdata(cutoffs_us, method="ordinal") - 1
        blocks = min(_BLOCKS, len(cutoffs_us))
        return days, np.asarray(rank * blocks // len(cutoffs_us), dtype=np.int64)
    if days > _MAX_GROUPS:
        day_of_row = day_of_row * _MAX_GROUPS // days
    return days, day_of_row.astype(np.int64)


def differences(
    metric: Metric, label: Floats, new: Floats, old: Floats, cutoffs_us: Groups, *, seed: int, resamples: int
) -> tuple[float, Floats]:
    """Return the difference of two models, positive where `new` is better, and that of each resample [resamples].

    A resample on which the metric is undefined is NaN.
    """
    groups = resample_groups(np.asarray(cutoffs_us, dtype=np.int64))[1]
    count = int(groups.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    weights = draws.astype(np.float64)
    difference = metric.sign * (metric.value(label, new) - metric.value(label, old))
    resampled = (metric.resampled(label, predicted, groups, weights) for predicted in (new, old))
    return difference, metric.sign * np.subtract(*resampled)


def interval(resampled: Floats) -> tuple[float, float]:
    """Return the 90 % interval of resampled differences; infinite where none is defined."""
    measured = resampled[np.isfinite(resampled)]
    if not len(measured):
        return -np.inf, np.inf
    low, high = np.quantile(measured, [0.05, 0.95])
    return float(low), float(high)


def _verdict(
    change: Change, metric: Metric, new: float, old: float, difference: float, low: float, margin: float
) -> tuple[bool, str]:
    values = f"{metric.name} {new:.4f} against {old:.4f}"
    if change == "first":
        if low > 0:
            return True, f"first champion: {values} of the trivial baseline"
        return False, f"does not beat the trivial baseline for certain: {values}, lower end {low:+.4f}"
    if change == "structural":
        if low > 0:
            return True, f"better than the champion: {values}, lower end {low:+.4f}"
        return False, f"a structural change must be better for certain: {values}, lower end {low:+.4f}"
    if difference >= -margin:
        return True, f"refresh within the margin of {margin:g}: {values}"
    return False, f"worse than the champion by more than the margin of {margin:g}: {values}"
