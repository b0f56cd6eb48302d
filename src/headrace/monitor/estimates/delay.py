"""Model the delay of labels: which share of a window's labels has come, and when nearly all will have, for people.

Delays of past rows (arrival less cutoff) give the Kaplan-Meier estimate (1958) of S(t), the probability that a label
has not come t after its cutoff. Rows whose label has not come yet are censored on the right. A row of age a without a
label has one by age b with probability 1 - S(b) / S(a).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Instants = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Share of a window's labels at which it counts as matured.
NEARLY_ALL = 0.95
_MIN_ROWS = 30


@dataclass(frozen=True, kw_only=True)
class LabelDelay:
    """How far the labels of a window have come.

    Attributes:
        matured: Share of the window's rows with a label.
        complete_us: Instant at which NEARLY_ALL labels are expected, microseconds UTC; the present one where they have
            come already; None where they are not expected to come at all.
        median_us: Median delay of past rows, microseconds; None where fewer than half of the labels came.
        missing: Share of past labels that are not expected to come.
        rows: Past rows of the model.
    """

    matured: float
    complete_us: int | None
    median_us: int | None
    missing: float
    rows: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def label_delay(
    past_cutoffs_us: Instants,
    past_arrivals_us: Instants,
    cutoffs_us: Instants,
    has_label: NDArray[np.bool_],
    *,
    now_us: int,
) -> LabelDelay | None:
    """Estimate the maturity of a window from the delays of past rows.

    Args:
        past_cutoffs_us: Cutoffs of past rows [k], microseconds UTC.
        past_arrivals_us: When their labels were known [k]; after `now_us` where they are not known yet.
        cutoffs_us: Cutoffs of the window's rows [n].
        has_label: Whether each of them has a label [n].
        now_us: The present instant.

    Returns:
        The estimate; None with fewer than 30 past rows.
    """
    before = past_cutoffs_us < now_us
    past_cutoffs_us, past_arrivals_us = past_cutoffs_us[before], past_arrivals_us[before]
    if len(past_cutoffs_us) < _MIN_ROWS or not len(cutoffs_us):
        return None
    arrived = past_arrivals_us <= now_us
    delays = np.where(arrived, np.maximum(past_arrivals_us - past_cutoffs_us, 0), now_us - past_cutoffs_us)
    survival = kaplan_meier(delays.astype(np.float64), arrived)
    longest = float(delays[arrived].max()) if arrived.any() else 0.0
    below_half = [delay for delay in np.unique(delays[arrived]) if survival(np.array([delay]))[0] <= 0.5][:1]
    return LabelDelay(
        matured=float(has_label.mean()),
        complete_us=_complete_us(survival, cutoffs_us, has_label, now_us, longest),
        median_us=int(below_half[0]) if below_half else None,
        missing=float(survival(np.array([longest]))[0]),
        rows=len(delays),
    )


def kaplan_meier(delays: Floats, arrived: NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    """Return S: delays [m] -> probability of no label by then.

    Args:
        delays: Time until the label, or until now [k].
        arrived: Whether the label came [k]; the others are censored.
    """
    if not arrived.any():
        return lambda at: np.ones(len(at))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sample = stats.CensoredData(uncensored=delays[arrived], right=delays[~arrived])
        survival = stats.ecdf(sample).sf
    return lambda at: np.asarray(survival.evaluate(at), dtype=np.float64)


def expected_share(
    survival: Callable[[Floats], Floats], cutoffs_us: Instants, has_label: NDArray[np.bool_], now_us: int, at_us: int
) -> float:
    """Return the expected share of rows with a label at an instant, given which have one now."""
    waiting = cutoffs_us[~has_label]
    now = survival(np.maximum(now_us - waiting, 0).astype(np.float64))
    later = survival(np.maximum(at_us - waiting, 0).astype(np.float64))
    came = 1 - np.divide(later, now, out=np.ones_like(now), where=now > 0)
    return float((has_label.sum() + came.sum()) / len(cutoffs_us))


def _complete_us(
    survival: Callable[[Floats], Floats],
    cutoffs_us: Instants,
    has_label: NDArray[np.bool_],
    now_us: int,
    longest: float,
) -> int | None:
    """Bisect over instants: the expected share grows with time."""
    low, high = now_us, int(max(now_us, int(cutoffs_us.max()) + int(longest)))
    if expected_share(survival, cutoffs_us, has_label, now_us, low) >= NEARLY_ALL:
        return low
    if expected_share(survival, cutoffs_us, has_label, now_us, high) < NEARLY_ALL:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if expected_share(survival, cutoffs_us, has_label, now_us, middle) >= NEARLY_ALL:
            high = middle
        else:
            low = middle
    return high
