"""Losses of every candidate of a retrain in every period after its fit: the table that all policies walk over.

| symbol | meaning                                                                    |
|--------|----------------------------------------------------------------------------|
| r_k    | instant of refit k; model k has learnt from what was known before it [m]    |
| w      | period [r_w, r_(w+1)), the last one ends with the replay [m]                |
| L_kw   | summed loss of model k on the labelled rows of period w, for w >= k [m, m]  |
| n_w    | labelled rows of period w [m]                                              |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.evaluate.metrics import METRICS, Floats
from headrace.monitor.worth.losses import row_losses

Ints = NDArray[np.int64]

#: Fewest rows of both classes together on which a metric is measured.
_FEWEST = 30


@dataclass(frozen=True, kw_only=True)
class LossTable:
    """Predictions of all candidates on the rows after their fit, with the labels.

    Attributes:
        metric: Name of the problem's metric.
        instants_us: Instants of the refits, and the end [m + 1], microseconds UTC.
        first: Number of the first champion; earlier models are its warm-up.
        cutoffs_us: Cutoffs of the labelled rows since the first refit [n], ascending, microseconds UTC.
        label: Their labels [n].
        known_us: When each label was known [n], microseconds UTC.
        predictions: Of each model [m, n], NaN before its fit.
        cpu_s: CPU seconds of each fit [m].
        trained_rows: Rows that each model was fitted on [m].
    """

    metric: str
    instants_us: Ints
    first: int
    cutoffs_us: Ints
    label: Floats
    known_us: Ints
    predictions: NDArray[np.float32]
    cpu_s: Floats
    trained_rows: Ints

    @property
    def models(self) -> int:
        return len(self.instants_us) - 1

    @property
    def periods(self) -> range:
        """The replayed periods; the first one is the first champion's first."""
        return range(self.first, self.models)

    @cached_property
    def period(self) -> Ints:
        """Period of each row [n]."""
        return np.searchsorted(self.instants_us, self.cutoffs_us, side="right") - 1

    @cached_property
    def losses(self) -> NDArray[np.float32]:
        """Loss of each model on each row [m, n], NaN before its fit."""
        found = np.full(self.predictions.shape, np.nan, dtype=np.float32)
        for model, predicted in enumerate(self.predictions):
            after = np.flatnonzero(self.period >= model)
            found[model, after] = self.losses_of(predicted[after], after)
        return found

    def losses_of(self, predicted: NDArray[Any], rows: Ints) -> Floats:
        """Compute the losses of predictions [k] for some rows, as of when no label but theirs is known."""
        return row_losses(self.metric, self.label[rows], predicted.astype(np.float64), self.period[rows])

    @cached_property
    def rows(self) -> Floats:
        """n_w [m]."""
        return np.bincount(self.period, minlength=self.models).astype(np.float64)

    @cached_property
    def loss(self) -> Floats:
        """L_kw [m, m], NaN before a model's fit."""
        found = np.full((self.models, self.models), np.nan)
        for model in range(self.models):
            sums = np.bincount(self.period, weights=np.nan_to_num(self.losses[model]), minlength=self.models)
            found[model, model:] = sums[model:]
        return found

    @cached_property
    def metrics(self) -> Floats:
        """The problem's metric of each model in each period [m, m], NaN where it cannot be measured."""
        found = np.full((self.models, self.models), np.nan)
        for period in range(self.models):
            rows = np.flatnonzero(self.period == period)
            for model in range(period + 1):
                found[model, period] = self.measure(rows, self.predictions[model, rows])
        return found

    def measure(self, rows: Ints, predicted: NDArray[np.float32]) -> float:
        """Measure predictions [k] for some rows by the problem's metric; NaN where it is not defined."""
        metric, label = METRICS[self.metric], self.label[rows]
        if len(rows) < _FEWEST or (metric.binary and len(np.unique(label)) < 2):
            return float("nan")
        return metric.value(label, predicted.astype(np.float64))

    def between(self, start_us: int, end_us: int, known_by_us: int) -> Ints:
        """Return the rows with cutoff in [start, end) whose label was known before an instant."""
        low, high = np.searchsorted(self.cutoffs_us, [start_us, end_us])
        rows = np.arange(low, high)
        return rows[self.known_us[rows] < known_by_us]

    def served(self, champions: Ints) -> NDArray[np.float32]:
        """Return the predictions that production made [n], NaN before the start.

        Args:
            champions: Number of the model that is champion in each replayed period.
        """
        found = np.full(len(self.label), np.nan, dtype=np.float32)
        for period, model in zip(self.periods, champions, strict=True):
            rows = self.period == period
            found[rows] = self.predictions[model, rows]
        return found
