"""Assemble the model of a search from its finished trials: select members, refit them if needed, calibrate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headrace.automl.choosing import choose
from headrace.automl.ensemble.calibration import Calibration, fit_calibration
from headrace.automl.ensemble.model import Member, TableModel
from headrace.automl.ensemble.stacking import StackedConfig
from headrace.automl.options import Options
from headrace.automl.prepare.preparation import Preparation
from headrace.automl.refitting import Refitting, load_bags
from headrace.automl.sizing import Refit
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.data import SearchData
from headrace.search.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """An assembled ensemble.

    Attributes:
        members: The members.
        preparations: Fitted preparations by key.
        calibration: Adjustment of probabilities.
        loss: Out-of-fold loss of the ensemble.
        label: Labels of the validated rows [n].
        weight: Their weights in a loss [n], None where all are 1.
        predictions: Out-of-fold predictions of the ensemble [n, k], adjusted.
        trace: Out-of-fold loss after each step of the selection.
        notes: Lines for the user.
        stacked: Configurations of the second level by the number of their member; empty where it did not pay.
    """

    members: tuple[Member, ...]
    preparations: Mapping[str, Preparation]
    calibration: Calibration
    loss: float
    label: Floats
    weight: Floats | None
    predictions: Floats
    trace: tuple[float, ...]
    notes: tuple[str, ...]
    stacked: Mapping[int, StackedConfig] = field(default_factory=dict)

    def second_level_loss(self, number: int, task: Task) -> float:
        """Return the out-of-fold loss of a configuration of the second level."""
        return metric_of(task).loss(self.label, self.stacked[number].predictions, self.weight, task)

    def model(self, task: Task, cleaner: Cleaner, facts: Mapping[str, Any]) -> TableModel:
        """Return the model that predicts rows of a table."""
        return TableModel(
            task=task,
            cleaner=cleaner,
            preparations=self.preparations,
            members=self.members,
            calibration=self.calibration,
            facts=facts,
        )


def assemble(
    folder: Path,
    data: SearchData,
    trials: Sequence[Trial],
    options: Options,
    *,
    refit: Refit,
    refit_s: float,
    stack_until: float | None = None,
    deadline: float,
) -> Assembly:
    """Assemble the ensemble of the finished trials.

    Args:
        folder: Folder of the data and the results.
        data: The data of the search.
        trials: All trials.
        options: Of the search.
        refit: Whether members are fitted on all rows, and what becomes of the models of the folds.
        refit_s: Time for that.
        stack_until: Instant of `time.monotonic` at which the second level ends; None for no second level.
        deadline: Instant of `time.monotonic` at which everything must be finished.

    Raises:
        HeadraceError: No trial finished.
    """
    choice = choose(folder, data, trials, options, stack_until=stack_until, deadline=deadline)
    fitted = load_bags(folder, choice.members)
    if refit != "no":
        until = min(deadline, time.monotonic() + refit_s)
        refitting = Refitting(data=data, seed=options.seed, threads=options.n_workers, until=until)
        fitted = refitting.replace_bags(fitted) if refit == "instead" else refitting.add_to_bags(fitted)
    rows, metric = data.valid_rows, metric_of(data.task)
    parts = [candidate.weight * candidate.predictions.astype(np.float64) for candidate in choice.members]
    pooled: Floats = np.sum(parts, axis=0)
    label, weights = data.label[rows], data.valid_weights
    calibration = fit_calibration(label, pooled, weights, data.task, metric, temper=options.calibrate)
    predictions = calibration.apply(pooled, data.task)
    decided = (predictions >= calibration.threshold).astype(np.float64) if calibration.threshold != 0.5 else predictions
    return Assembly(
        members=fitted.members, preparations=fitted.preparations, calibration=calibration, predictions=predictions,
        loss=metric.loss(label, decided, weights, data.task), label=label, weight=weights, trace=choice.trace,
        notes=(*choice.notes, *fitted.notes),
        stacked={candidate.number: candidate.stacked for candidate in choice.members if candidate.stacked},
    )  # fmt: skip
