"""Small tables of losses for tests: candidates that age, as arrays or with rows and predictions."""

from __future__ import annotations

import numpy as np

from headrace.core.clock import DAY
from headrace.evaluate.metrics import Floats
from headrace.replay.table import LossTable


def aging(models: int, seed: int) -> Floats:
    """A loss of each model in each period [m, m]: it grows with the model's age, unevenly; NaN before the fit."""
    rng = np.random.default_rng(seed)
    loss = rng.uniform(1, 2, models) + np.abs(rng.normal(0, 1, (models, models))).cumsum(axis=1)
    loss[np.tril_indices(models, -1)] = np.nan
    return np.asarray(loss, dtype=np.float64)


def table(models: int = 12, *, first: int = 3, rows: int = 100, drift: float = 0.15, seed: int = 0) -> LossTable:
    """A regression whose mean moves by `drift` in each period: a model predicts the mean of the period of its fit."""
    rng = np.random.default_rng(seed)
    instants = np.arange(models + 1) * 7 * DAY
    cutoffs = np.sort(rng.integers(0, instants[-1], models * rows))
    period = cutoffs // (7 * DAY)
    predictions = np.full((models, len(cutoffs)), np.nan, dtype=np.float32)
    for model in range(models):
        predictions[model, period >= model] = drift * model
    return LossTable(
        metric="rmse",
        instants_us=instants.astype(np.int64),
        first=first,
        cutoffs_us=cutoffs.astype(np.int64),
        label=drift * period + rng.normal(0, 1, len(cutoffs)),
        known_us=(cutoffs + DAY).astype(np.int64),
        predictions=predictions,
        cpu_s=np.ones(models),
        trained_rows=np.arange(1, models + 1) * rows,
    )
