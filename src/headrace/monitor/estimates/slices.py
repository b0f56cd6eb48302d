"""Find the slices of a window whose loss grew, and the loss that a shift of a feature brings, for alerts.

A slice is a category, a quantile bin or the missing values of one column. Its mean loss in the window is compared with
that of the same slice in held-out rows by Welch's t-test on sums by day, so that rows of one day count together. Holm's
method (1979) controls the probability of any false slice. The worst slice is that with the largest lower bound of its
increase: one that is large and certain.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from headrace.core.clock import DAY

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]
Codes = NDArray[np.int64]

MIN_ROWS, MIN_DAYS = 30, 4
_MIN_SHARE, _MAX_BINS, _MAX_CATEGORIES = 0.02, 4, 20
OTHER, MISSING = "(other)", "(missing)"


@dataclass(frozen=True, kw_only=True)
class SlicedColumn:
    """A column cut into slices, on both sides alike.

    Attributes:
        labels: Name of each slice [s].
        reference: Slice of each held-out row [k].
        current: Slice of each row of the window [n].
    """

    labels: tuple[str, ...]
    reference: Codes
    current: Codes


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A slice whose mean loss grew.

    Attributes:
        column, value: The slice, such as `origin` and `JFK`, or `distance` and `744 to 1389`.
        rows, reference_rows: Its rows on both sides.
        loss, reference_loss: Its mean loss on both sides.
        low: Lower bound of the increase, one-sided at 95 %.
        p_value: Of the increase, adjusted for all slices.
        since_us: Start of the day from which the loss is larger, microseconds UTC; None where it is not known.
        same_rows: Names of other slices of exactly the same rows, which count as this one.
    """

    column: str
    value: str
    rows: int
    reference_rows: int
    loss: float
    reference_loss: float
    low: float
    p_value: float
    since_us: int | None = None
    same_rows: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.column} = {self.value}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class DailyLoss:
    """The mean loss of some rows by day, for pictures.

    Attributes:
        name: What the rows are: a slice, or all rows.
        days_us: Start of each day with labels [D], microseconds UTC.
        loss: Mean loss of each day [D].
        reference: Mean loss of such rows in the held-out rows.
    """

    name: str
    days_us: tuple[int, ...]
    loss: tuple[float, ...]
    reference: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def daily_loss(name: str, loss: Floats, cutoffs_us: Instants, reference: float) -> DailyLoss:
    """Return the mean loss of rows by day.

    Args:
        name: What the rows are.
        loss: Loss of each row [n]; NaN is left out.
        cutoffs_us: Cutoffs [n], microseconds UTC.
        reference: Mean loss of such rows in the held-out rows.
    """
    known = np.isfinite(loss)
    days, group = np.unique(cutoffs_us[known] // DAY, return_inverse=True)
    means = np.bincount(group, weights=loss[known]) / np.bincount(group) if len(days) else np.empty(0)
    return DailyLoss(
        name=name,
        days_us=tuple(int(day) * DAY for day in days),
        loss=tuple(float(mean) for mean in means),
        reference=reference,
    )


def slice_numbers(reference: Floats, current: Floats) -> SlicedColumn:
    """Cut numbers [k], [n] at the quartiles of the reference, at its median where it is small; NaN is a slice too."""
    finite = reference[np.isfinite(reference)]
    bins = int(np.clip(len(finite) // (MIN_ROWS + 5), 2, _MAX_BINS))
    inner = np.unique(np.quantile(finite, np.arange(1, bins) / bins)) if len(finite) else np.empty(0)
    edges = inner[inner > finite.min()] if len(finite) else inner
    names = [f"below {edges[0]:.4g}"] if len(edges) else ["any"]
    names += [f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
    names += [f"{edges[-1]:.4g} or more"] if len(edges) else []

    def codes(values: Floats) -> Codes:
        found = np.searchsorted(edges, values, side="right")
        return np.where(np.isfinite(values), found, len(names)).astype(np.int64)

    return SlicedColumn(labels=(*names, MISSING), reference=codes(reference), current=codes(current))


def slice_categories(reference: Sequence[str | None], current: Sequence[str | None]) -> SlicedColumn:
    """Cut texts [k], [n] by value: the most frequent ones of both sides, all others together, and missing ones."""
    values, counts = np.unique(
        np.array([text for side in (reference, current) for text in side if text is not None], dtype=np.str_),
        return_counts=True,
    )
    frequent = [str(text) for text in values[np.argsort(-counts, kind="stable")][:_MAX_CATEGORIES]]
    position = {text: index for index, text in enumerate(frequent)}
    other, missing = len(frequent), len(frequent) + 1

    def codes(side: Sequence[str | None]) -> Codes:
        return np.array([missing if text is None else position.get(text, other) for text in side], dtype=np.int64)

    return SlicedColumn(labels=(*frequent, OTHER, MISSING), reference=codes(reference), current=codes(current))


def worse_slices(
    columns: Mapping[str, SlicedColumn],
    reference_loss: Floats,
    reference_cutoffs_us: Instants,
    loss: Floats,
    cutoffs_us: Instants,
    *,
    alpha: float = 0.01,
) -> tuple[Slice, ...]:
    """Return the slices whose mean loss is significantly larger than in the held-out rows, the worst first.

    Slices of exactly the same rows on both sides, such as a code and its name, are tested and returned once.

    Args:
        columns: Column -> its slices. A slice counts with 30 rows, four days and 2 % of the rows on both sides.
        reference_loss: Loss of each held-out row [k].
        reference_cutoffs_us: Their cutoffs [k], microseconds UTC.
        loss: Loss of each row of the window [n], NaN where its label is immature.
        cutoffs_us: Their cutoffs [n].
        alpha: Probability of any false slice.
    """
    known = np.isfinite(loss)
    days, reference_days = (np.unique(at // DAY, return_inverse=True)[1] for at in (cutoffs_us, reference_cutoffs_us))
    candidates: dict[bytes, Slice] = {}
    for column, sliced in columns.items():
        for code, value in enumerate(sliced.labels):
            now, before = known & (sliced.current == code), sliced.reference == code
            if min(now.sum() / max(known.sum(), 1), before.sum() / max(len(before), 1)) < _MIN_SHARE:
                continue
            sides = [_mean_by_day(loss[now], days[now]), _mean_by_day(reference_loss[before], reference_days[before])]
            if min(now.sum(), before.sum()) < MIN_ROWS or min(side.days for side in sides) < MIN_DAYS:
                continue
            low, p_value = _welch(*sides)
            one = Slice(
                column=column, value=value, rows=int(now.sum()), reference_rows=int(before.sum()), loss=sides[0].mean,
                reference_loss=sides[1].mean, low=low, p_value=p_value,
            )  # fmt: skip
            members = np.packbits(np.concatenate([now, before])).tobytes()
            first = candidates.setdefault(members, one)
            if first is not one:
                candidates[members] = replace(first, same_rows=(*first.same_rows, one.name))
    adjusted = holm([one.p_value for one in candidates.values()])
    judged = zip(candidates.values(), adjusted, strict=True)
    found = [replace(one, p_value=p_value) for one, p_value in judged if p_value <= alpha]
    return tuple(sorted(found, key=lambda one: -one.low))


@dataclass(frozen=True)
class _Mean:
    """The mean of rows, its variance with rows of one day taken together, and the number of days."""

    mean: float
    variance: float
    days: int


def _mean_by_day(loss: Floats, days: Codes) -> _Mean:
    if not len(loss):
        return _Mean(np.nan, np.nan, 0)
    _, group = np.unique(days, return_inverse=True)
    count, mean = int(group.max()) + 1, float(loss.mean())
    residuals = np.bincount(group, weights=loss - mean)
    return _Mean(mean, float((residuals**2).sum()) / len(loss) ** 2 * count / max(count - 1, 1), count)


def _welch(now: _Mean, before: _Mean) -> tuple[float, float]:
    """Return the one-sided 95 % lower bound of the increase, and its p-value."""
    variance, increase = now.variance + before.variance, now.mean - before.mean
    if variance <= 0:
        return increase, 0.0 if increase > 0 else 1.0
    freedom = variance**2 / sum(side.variance**2 / (side.days - 1) for side in (now, before))
    error = float(np.sqrt(variance))
    return float(increase - stats.t.ppf(0.95, freedom) * error), float(stats.t.sf(increase / error, freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that those below alpha are all true with probability 1 - alpha (Holm 1979)."""
    order, count = np.argsort(p_values, kind="stable"), len(p_values)
    adjusted, largest = [1.0] * count, 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (count - rank)))
        adjusted[index] = largest
    return adjusted


def worse_since(loss: Floats, cutoffs_us: Instants, level: float) -> int | None:
    """Return the start of the day from which the mean loss is above a level: the most likely change of the mean.

    The level before the change is known, so the likelihood ratio of a change on day t is the squared sum of the excess
    from t on, divided by its number of rows (Page 1955).

    Args:
        loss: Loss of each row [n]; NaN is left out.
        cutoffs_us: Cutoffs [n], microseconds UTC.
        level: Mean loss before.
    """
    known = np.isfinite(loss)
    if not known.any():
        return None
    days, group = np.unique(cutoffs_us[known] // DAY, return_inverse=True)
    excess = np.cumsum(np.bincount(group, weights=loss[known] - level)[::-1])[::-1]
    rows = np.cumsum(np.bincount(group)[::-1])[::-1]
    ratio = np.where(excess > 0, excess**2 / rows, 0.0)
    return int(days[int(np.argmax(ratio))]) * DAY if ratio.max() > 0 else None


def shift_cost(sliced: SlicedColumn, reference_loss: Floats) -> tuple[float, float]:
    """Estimate the increase of the mean loss that the shift of one column brings, and its standard error.

    sum over slices of (share now - share before) x (mean loss before): rows move to slices where the model is worse.
    A slice that the held-out rows do not have counts with their mean loss.

    Args:
        sliced: Slices of the column.
        reference_loss: Loss of each held-out row [k].
    """
    count = len(sliced.labels)
    rows = np.bincount(sliced.reference, minlength=count).astype(np.float64)
    now = np.bincount(sliced.current, minlength=count) / max(len(sliced.current), 1)
    before = rows / max(rows.sum(), 1)
    overall = float(reference_loss.mean())
    sums = np.bincount(sliced.reference, weights=reference_loss, minlength=count)
    means = np.divide(sums, rows, out=np.full(count, overall), where=rows > 0)
    squares = np.bincount(sliced.reference, weights=(reference_loss - means[sliced.reference]) ** 2, minlength=count)
    variances = np.divide(squares, rows**2, out=np.zeros(count), where=rows > 0)
    excess = means - overall
    sampled = [
        ((share * excess**2).sum() - (share * excess).sum() ** 2) / max(rows_of_side, 1)
        for share, rows_of_side in ((now, len(sliced.current)), (before, rows.sum()))
    ]
    error = np.sqrt(((now - before) ** 2 * variances).sum() + sum(sampled))
    return float(((now - before) * means).sum()), float(error)
