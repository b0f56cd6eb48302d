"""The recipe that every candidate of a replay is fitted with, from what was known before the start."""

from __future__ import annotations

import numpy as np

from headrace.evaluate.splits import time_folds, time_windows
from headrace.models.families import warm_start
from headrace.models.recipe import Recipe, fit_rounds
from headrace.replay.rows import ReplayRows
from headrace.schema import Problem


def fixed_recipe(problem: Problem, rows: ReplayRows, *, seed: int, threads: int) -> Recipe:
    """Return the default configuration of the problem's first family, with its rounds from folds before the start.

    No search: the candidates of all policies are fitted alike, so policies differ in nothing but their retrains.
    """
    history = rows.known_before(rows.start_us)
    label, cutoffs, known = rows.label[history], rows.cutoffs_us[history], rows.known_us[history]
    classes = label if problem.label_expression.binary else None
    windows = time_windows(
        cutoffs, known, rows.start_us, labels=classes, tune_share=problem.tune_share, gate_share=problem.gate_share
    )
    folds = time_folds(cutoffs, known, windows, labels=classes)
    config = warm_start(problem.families)[0] if problem.families else warm_start()[0]
    design = rows.design.rows(history)
    found = fit_rounds(config, design, label, folds, metric=problem.metric, seed=seed, threads=threads)
    return found.recipe


def gate_periods(trained_rows: int, period_rows: np.ndarray, model: int, share: float) -> int:
    """Return how many periods before a model's fit are its gate window: as few as hold this share of its rows.

    Args:
        trained_rows: Rows that the model was fitted on.
        period_rows: Labelled rows of each period [m].
        model: Its number.
        share: Of the gate, as the problem declares it.
    """
    rows, count = 0.0, 0
    while count < model and rows < share * trained_rows:
        count += 1
        rows += float(period_rows[model - count])
    return max(count, 1)
