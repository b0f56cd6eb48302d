"""Two published rules for when to retrain, from losses alone: CUSUM, and the forecast of performance (UPF).

CUSUM (Page, 1954) adds up how far the daily loss lies above that of the champion's gate window, less an allowance:

    S_d = max(0, S_(d-1) + (x_d - mean) / sd - ALLOWANCE),   a retrain where S_d > LIMIT

UPF (Regol, Schwinn, Sprague, Coates and Markovich, ICML 2025, "When to retrain a machine learning model") forecasts
a_ij, the loss of a model of period i in period j, with its uncertainty, and retrains where the quantile DELTA of the
cost of a retrain now, alpha + sum of a_(now, j) over the horizon, is below that of the present model's losses.
Simplified here: a_ij has a Gaussian forecast by Bayesian ridge regression on i and j - i (the paper: a Beta
distribution, and the distance of successive feature means as a further input); errors of the periods of a horizon are
independent; all pairs of earlier refits and periods are observed, as in the paper's offline phase; the decision looks
one horizon ahead instead of at all remaining periods. alpha is the declared cost of a retrain.
"""

from __future__ import annotations

import numpy as np

from headrace.core.clock import DAY, WEEK
from headrace.evaluate.metrics import Floats
from headrace.monitor.worth.losses import row_losses
from headrace.replay.gate import gate_predictions
from headrace.replay.table import LossTable
from headrace.replay.walk import Rule
from headrace.schema import Problem, Worth

#: In standard deviations of a day.
ALLOWANCE, LIMIT = 0.5, 5.0
#: The quantile of the paper.
DELTA = 0.95
#: Fewest pairs, and fewest days of a reference.
_FEWEST = 6


def cusum(values: Floats, reference: Floats) -> Floats:
    """Compute S_d.

    Args:
        values: Daily losses since the champion's first day [d].
        reference: Daily losses without a change [k].
    """
    scale = float(reference.std(ddof=1)) or 1.0
    sums, total = np.zeros(len(values)), 0.0
    for day, value in enumerate((values - reference.mean()) / scale - ALLOWANCE):
        total = max(0.0, total + float(value))
        sums[day] = total
    return sums


def cusum_rule(problem: Problem) -> Rule:
    """Retrain where CUSUM exceeds its limit on labels that are known by then."""

    def due(table: LossTable, champion: int, period: int) -> bool:
        now = int(table.instants_us[period + 1])
        rows = table.between(int(table.instants_us[champion]), now, now)
        gate, predicted = gate_predictions(problem, table, champion)
        weeks = table.cutoffs_us[gate] // WEEK
        before = daily(row_losses(problem.metric, table.label[gate], predicted, weeks), table.cutoffs_us[gate])
        since = daily(table.losses_of(table.predictions[champion, rows], rows), table.cutoffs_us[rows])
        if len(before) < _FEWEST or not len(since):
            return False
        return bool(cusum(since, before).max() > LIMIT)

    return due


def daily(losses: Floats, cutoffs_us: np.ndarray) -> Floats:
    """Return the mean loss of each day that has rows [d]."""
    _, day = np.unique(cutoffs_us // DAY, return_inverse=True)
    return (
        np.asarray(np.bincount(day, weights=losses) / np.bincount(day), dtype=np.float64) if len(day) else np.empty(0)
    )


def upf_rule(rules: Worth, every_us: int) -> Rule:
    """Retrain where the forecast of its cost is lower.

    Args:
        rules: The declared cost, and the horizon.
        every_us: Length of a period.
    """
    horizon = max(1, round(rules.horizon_us / every_us))

    def due(table: LossTable, champion: int, period: int) -> bool:
        model, age, loss = _pairs(table, period)
        if len(loss) < _FEWEST or len(np.unique(age)) < 2:
            return False
        ahead = np.arange(1, horizon + 1)
        now = period + 1
        alpha = rules.cost * WEEK / every_us * float(loss.mean())
        keep = _forecast(model, age, loss, np.full(horizon, champion), period + ahead - champion)
        fresh = _forecast(model, age, loss, np.full(horizon, now), period + ahead - now)
        return alpha + fresh < keep

    return due


def _pairs(table: LossTable, period: int) -> tuple[Floats, Floats, Floats]:
    """Model, age and mean loss of every pair of a model and a period, from the labels known at a period's end."""
    now = int(table.instants_us[period + 1])
    known = table.known_us < now
    found = []
    for later in range(period + 1):
        rows = np.flatnonzero(known & (table.period == later))
        found += [
            (model, later - model, float(table.losses[model, rows].mean())) for model in range(later + 1) if len(rows)
        ]
    pairs = np.array(found, dtype=np.float64).reshape(-1, 3)
    return pairs[:, 0], pairs[:, 1], pairs[:, 2]


def _forecast(model: Floats, age: Floats, loss: Floats, models: np.ndarray, ages: np.ndarray) -> float:
    """The quantile DELTA of the summed losses of some models at some ages [h]."""
    from scipy.stats import norm
    from sklearn.linear_model import BayesianRidge

    inputs = np.column_stack([model, age])
    centre, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    fitted = BayesianRidge().fit((inputs - centre) / scale, loss)
    mean, sd = fitted.predict((np.column_stack([models, ages]) - centre) / scale, return_std=True)
    return float(mean.sum() + norm.ppf(DELTA) * np.sqrt((sd**2).sum()))
