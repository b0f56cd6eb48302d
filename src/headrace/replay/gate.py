"""The gate of a retrain in a replay: the main job's comparison, on predictions of candidates that were fitted before.

As in the main job, the challenger's recipe is judged on its gate window, fitted before it, and the model that becomes
champion is refitted on all rows. Here the recipe's fit before the gate is the candidate of an earlier period.
"""

from __future__ import annotations

import numpy as np

from headrace.evaluate.gate import decide
from headrace.evaluate.metrics import METRICS, Floats
from headrace.monitor.policy.decision import Outcome
from headrace.replay.recipe import gate_periods
from headrace.replay.table import Ints, LossTable
from headrace.schema import Problem

#: Fewest rows that neither model has learnt from, as in the stage `promote`.
_FEWEST = 50


def judge(problem: Problem, table: LossTable, challenger: int, champion: int, seed: int) -> tuple[Outcome, str]:
    """Compare a challenger with the champion by the problem's gate.

    Args:
        problem: declares the metric, the margin and the gate's share.
        table: of the candidates.
        challenger: the model that was fitted at the instant of the decision.
        champion: the model that is champion then.
        seed: of the bootstrap.

    Returns:
        The outcome of the retrain, and the gate's reason.
    """
    rows, new = gate_predictions(problem, table, challenger)
    old = _champion_predictions(problem, table, champion, rows)
    fair = np.isfinite(old)
    metric, label = METRICS[problem.metric], table.label[rows][fair]
    if fair.sum() < _FEWEST or (metric.binary and len(np.unique(label)) < 2):
        return "not comparable", f"fewer than {_FEWEST} rows that neither model learnt from"
    verdict = decide(
        metric,
        label,
        new[fair],
        old[fair],
        table.cutoffs_us[rows][fair],
        margin=problem.margin,
        baseline=0.0,
        seed=seed,
    )
    return ("promoted" if verdict.promote else "refused"), verdict.reason


def gate_predictions(problem: Problem, table: LossTable, model: int) -> tuple[Ints, Floats]:
    """Return the rows of a model's gate window, and what its recipe, fitted before the window, predicted for them."""
    before = model - gate_periods(int(table.trained_rows[model]), table.rows, model, problem.gate_share)
    now = int(table.instants_us[model])
    rows = table.between(int(table.instants_us[before]), now, now)
    return rows, table.predictions[before, rows].astype(np.float64)


def _champion_predictions(problem: Problem, table: LossTable, champion: int, rows: Ints) -> Floats:
    """The champion on these rows [k]: its own predictions after its fit, those of its gate before; NaN elsewhere."""
    found: Floats = table.predictions[champion, rows].astype(np.float64)
    gate, predicted = gate_predictions(problem, table, champion)
    _, here, there = np.intersect1d(rows, gate, return_indices=True)
    unseen = ~np.isfinite(found[here])
    found[here[unseen]] = predicted[there[unseen]]
    return found
