"""Expected value of a binary metric, given the probability of each label, for confidence-based estimates.

| symbol | meaning                                             | shape  |
|--------|-----------------------------------------------------|--------|
| p      | prediction, a probability                           | [n]    |
| c      | probability that the label is true; a known label is 0 or 1 | [n] |
| W      | weight of each row in each resample                 | [R, n] |

Metrics that are means over rows have an exact expectation. AUC, average precision and F1 are ratios; the ratio of
expectations is used, as in CBPE (NannyML's documentation, 2022). A row is never paired with itself, so that with known
labels every function returns the metric itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.evaluate.metrics import METRICS

Floats = NDArray[np.float64]


_SMALLEST = 1e-15
#: Numbers of one slice of weighed rows [resamples, n].
_SLICE = 4_000_000
#: Metrics of decisions, which the catalogue of `evaluate.metrics` does not have.
COST = "cost"
_DECISIONS_BETTER = {"accuracy": True, "f1": True, COST: False}


@dataclass(frozen=True, kw_only=True)
class DecisionRule:
    """What is decided by a prediction, and what wrong decisions cost.

    Attributes:
        threshold: Probability from which a prediction counts as true.
        false_positive, false_negative: Cost of a wrong decision, in the user's currency.
    """

    threshold: float = 0.5
    false_positive: float = 0.0
    false_negative: float = 0.0


Expected = Callable[[Floats, Floats, Floats, DecisionRule], Floats]
_RULE = DecisionRule()


def expected_metric(
    name: str, p: Floats, c: Floats, weights: Floats | None = None, rule: DecisionRule = _RULE
) -> Floats:
    """Compute the expected metric of predictions for each resample.

    Args:
        name: Name in EXPECTED.
        p: Predictions [n].
        c: Probabilities of a true label [n].
        weights: Weight of each row [R, n]; one resample with all rows where None.
        rule: For `accuracy`, `f1` and `cost` (mean cost of a row).

    Returns:
        Values [R], NaN where a resample cannot have both classes.
    """
    rows = np.ones((1, len(p))) if weights is None else weights
    step = max(1, _SLICE // max(1, len(p)))
    parts = [EXPECTED[name](p, c, rows[start : start + step], rule) for start in range(0, len(rows), step)]
    return np.concatenate(parts)


def greater_is_better(name: str) -> bool:
    """Whether a larger value of the metric is better."""
    known = _DECISIONS_BETTER.get(name)
    return METRICS[name].greater_is_better if known is None else known


def _log_loss(p: Floats, c: Floats, weights: Floats, rule: DecisionRule) -> Floats:
    clipped = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    return _mean(-(c * np.log(clipped) + (1 - c) * np.log1p(-clipped)), weights)


def _brier(p: Floats, c: Floats, weights: Floats, rule: DecisionRule) -> Floats:
    return _mean(c * (1 - p) ** 2 + (1 - c) * p**2, weights)


def _accuracy(p: Floats, c: Floats, weights: Floats, rule: DecisionRule) -> Floats:
    return _mean(np.where(p >= rule.threshold, c, 1 - c), weights)


def _cost(p: Floats, c: Floats, weights: Floats, rule: DecisionRule) -> Floats:
    return _mean(np.where(p >= rule.threshold, (1 - c) * rule.false_positive, c * rule.false_negative), weights)


def _f1(p: Floats, c: Floats, weights: Floats, rule: DecisionRule) -> Floats:
    positive = (p >= rule.threshold).astype(np.float64)
    true_positive, predicted, actual = weights @ (positive * c), weights @ positive, weights @ c
    return _ratio(2 * true_positive, predicted + actual)


def _auc(p: Floats, c: Floats, weights: Floats, rule: DecisionRule) -> Floats:
    order = np.argsort(p, kind="stable")
    first, last = _ties(p[order])
    positive, negative = (weights * c)[:, order], (weights * (1 - c))[:, order]
    below = np.cumsum(negative, axis=1)
    before = np.concatenate([np.zeros((len(weights), 1)), below], axis=1)
    mean_below = (before[:, first] + before[:, last + 1]) / 2  # ties count half
    own = positive * negative
    ordered = (positive * mean_below).sum(axis=1) - own.sum(axis=1) / 2
    return _ratio(ordered, positive.sum(axis=1) * negative.sum(axis=1) - own.sum(axis=1))


def _average_precision(p: Floats, c: Floats, weights: Floats, rule: DecisionRule) -> Floats:
    order = np.argsort(-p, kind="stable")
    _, last = _ties(-p[order])
    w, positive = weights[:, order], (weights * c)[:, order]
    positive_up_to, up_to = np.cumsum(positive, axis=1)[:, last], np.cumsum(w, axis=1)[:, last]
    others = positive_up_to - positive + w  # given that the row itself is true
    precision = np.divide(others, up_to, out=np.zeros_like(others), where=up_to > 0)
    return _ratio((positive * precision).sum(axis=1), positive.sum(axis=1))


def _ties(values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last position of the run of equal values that each of the sorted values [n] is in."""
    first = np.searchsorted(values, values, side="left")
    last = np.searchsorted(values, values, side="right") - 1
    return first.astype(np.int64), last.astype(np.int64)


def _mean(row: Floats, weights: Floats) -> Floats:
    return _ratio(weights @ row, weights.sum(axis=1))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    out = np.full(len(numerator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=out, where=denominator > 1e-12), dtype=np.float64)


EXPECTED: dict[str, Expected] = {
    "auc": _auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "brier": _brier,
    "accuracy": _accuracy,
    "f1": _f1,
    COST: _cost,
}
