"""Assemble the model of a search from its finished trials: select members, refit them if needed, calibrate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from headrace.automl.choosing import Candidate, choose
from headrace.automl.ensemble.calibration import Calibration, fit_calibration
from headrace.automl.ensemble.model import Member, TableModel
from headrace.automl.ensemble.stacking import StackedConfig
from headrace.automl.families.protocol import Fit
from headrace.automl.options import Options
from headrace.automl.prepare.block import Target
from headrace.automl.prepare.preparation import Preparation
from headrace.automl.sizing import Refit
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.data import SearchData, encodable_label, fold_rows
from headrace.automl.trials.fitting import FittedConfig, fit_config, split_table_config
from headrace.automl.trials.prepared import preparation_file, preparation_key
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
        weight: Their sample weights [n], None where there are none.
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
    members, preparations = _load_bags(folder, choice.members)
    notes = list(choice.notes)
    if refit != "no":
        complete = _refitted if refit == "instead" else _with_whole
        members, preparations, late = complete(data, members, preparations, choice.members, options, refit_s, deadline)
        notes += late
    rows, metric = data.valid_rows, metric_of(data.task)
    parts = [candidate.weight * candidate.predictions.astype(np.float64) for candidate in choice.members]
    pooled: Floats = np.sum(parts, axis=0)
    label, weights = data.label[rows], data.weights(rows)
    calibration = fit_calibration(label, pooled, weights, data.task, metric, temper=options.calibrate)
    predictions = calibration.apply(pooled, data.task)
    decided = (predictions >= calibration.threshold).astype(np.float64) if calibration.threshold != 0.5 else predictions
    return Assembly(
        members=members, preparations=preparations, calibration=calibration, predictions=predictions,
        loss=metric.loss(label, decided, weights, data.task), label=label, weight=weights, trace=choice.trace,
        notes=tuple(notes),
        stacked={candidate.number: candidate.stacked for candidate in choice.members if candidate.stacked},
    )  # fmt: skip


def _load_bags(folder: Path, chosen: Sequence[Candidate]) -> tuple[tuple[Member, ...], dict[str, Preparation]]:
    """Load the models of the folds of the chosen configurations."""
    import joblib  # type: ignore[import-untyped]

    members, preparations = [], {}
    for candidate in chosen:
        inputs = candidate.stacked.inputs if candidate.stacked else ()
        parts = candidate.stacked.parts if candidate.stacked else _stored_parts(folder, candidate)
        for key, _ in parts:
            if key not in preparations:
                preparations[key] = joblib.load(preparation_file(folder, key))
        members.append(
            Member(trial=candidate.number, config=candidate.config, weight=candidate.weight, parts=parts, inputs=inputs)
        )
    return tuple(members), preparations


def _stored_parts(folder: Path, candidate: Candidate) -> tuple[tuple[str, FittedConfig], ...]:
    """Return (key of a preparation, fitted model) of each fold."""
    import joblib

    fitted: list[FittedConfig] = joblib.load(folder / f"{candidate.file}.joblib")
    spec = split_table_config(candidate.config)[2]
    return tuple((preparation_key(number, spec), each) for number, each in enumerate(fitted))


def _refitted(
    data: SearchData,
    members: tuple[Member, ...],
    preparations: dict[str, Preparation],
    chosen: Sequence[Candidate],
    options: Options,
    refit_s: float,
    deadline: float,
) -> tuple[tuple[Member, ...], dict[str, Preparation], list[str]]:
    """Fit the members on all rows, the heaviest first, until the time is up; the others keep their last fold's model.

    The number of boosting rounds is that of the last fold.
    """
    until = min(deadline, time.monotonic() + refit_s)
    seconds = {candidate.number: candidate.seconds / len(data.folds) for candidate in chosen}
    refitted: list[Member] = []
    kept: dict[str, Preparation] = {}
    late = 0
    for member in sorted(members, key=lambda member: -member.weight):
        in_time = time.monotonic() + seconds[member.trial] <= until
        whole = _fit_all(data, member, options, until) if in_time else None
        if whole is None:
            late += 1
            key, fitted = member.parts[-1]
            kept[key] = preparations[key]
        else:
            key, preparation, fitted = whole
            kept.setdefault(key, preparation)
        refitted.append(Member(trial=member.trial, config=member.config, weight=member.weight, parts=((key, fitted),)))
    note = f"{late} of {len(members)} members keep the model of their last fold: no time to fit all rows"
    return tuple(refitted), kept, [note] if late else []


def _with_whole(
    data: SearchData,
    members: tuple[Member, ...],
    preparations: dict[str, Preparation],
    chosen: Sequence[Candidate],
    options: Options,
    refit_s: float,
    deadline: float,
) -> tuple[tuple[Member, ...], dict[str, Preparation], list[str]]:
    """Fit the members on all rows beside their bags, the heaviest first, until the time is up.

    Not where there is a second level, which learned from the predictions of bags.
    """
    if any(member.inputs for member in members):
        return members, preparations, []
    until = min(deadline, time.monotonic() + refit_s)
    seconds = {candidate.number: candidate.seconds / (len(data.folds) - 1) for candidate in chosen}
    known, whole = dict(preparations), dict[int, tuple[str, FittedConfig]]()
    for member in sorted(members, key=lambda member: -member.weight):
        if time.monotonic() + seconds[member.trial] <= until and (found := _fit_all(data, member, options, until)):
            key, preparation, fitted = found
            known.setdefault(key, preparation)
            whole[member.trial] = (key, fitted)
    late = len(members) - len(whole)
    note = f"{late} of {len(members)} members are bags alone: no time to fit all rows too"
    return tuple(replace(each, whole=whole.get(each.trial)) for each in members), known, [note] if late else []


def _fit_all(
    data: SearchData, member: Member, options: Options, until: float
) -> tuple[str, Preparation, FittedConfig] | None:
    """Fit a member on all rows; None where its boosting was cut: with few rounds it is worse than the last fold's."""
    spec = split_table_config(member.config)[2]
    key, rows = preparation_key("all", spec), np.arange(len(data.label))
    preparation = Preparation(spec, data.cleaner, data.without_trend)
    target = Target(label=encodable_label(data, rows), task=data.task, seed=options.seed)
    design = preparation.fit_transform(data.frame, target)
    rounds = member.parts[-1][1].fitted.rounds
    fit = Fit(task=data.task, seed=options.seed, threads=options.n_workers, deadline=until, rounds=rounds)
    fitted = fit_config(member.config, fold_rows(data, design, rows), None, fit)
    cut = rounds is not None and (fitted.fitted.rounds or 0) < rounds and time.monotonic() > until
    return None if cut else (key, preparation, fitted)
