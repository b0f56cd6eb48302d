"""Assemble the model of a search from its finished trials: select members, refit them if needed, calibrate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headrace.automl.ensemble.calibration import Calibration, fit_calibration
from headrace.automl.ensemble.model import Member, TableModel
from headrace.automl.ensemble.selection import Selection, cheapest, select
from headrace.automl.families.protocol import Fit
from headrace.automl.options import Options
from headrace.automl.prepare.block import Target
from headrace.automl.prepare.preparation import Preparation
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.data import SearchData, encodable_label, fold_rows
from headrace.automl.trials.fitting import FittedConfig, fit_config, split_table_config
from headrace.core.errors import HeadraceError
from headrace.core.fingerprint import fingerprint
from headrace.search.trial import Trial

#: Models that an ensemble is selected from, and rows that it is selected on.
_LIBRARY, _ROWS = 40, 20_000
#: Numbers that selection compares, so that it stays within seconds.
_NUMBERS = 30_000_000


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """An assembled ensemble.

    Attributes:
        members: The members.
        preparations: Fitted preparations by key.
        calibration: Adjustment of probabilities.
        loss: Out-of-fold loss of the ensemble.
        label: Labels of the validated rows [n].
        predictions: Out-of-fold predictions of the ensemble [n, k], adjusted.
        trace: Out-of-fold loss after each step of the selection.
        notes: Lines for the user.
    """

    members: tuple[Member, ...]
    preparations: Mapping[str, Preparation]
    calibration: Calibration
    loss: float
    label: Floats
    predictions: Floats
    trace: tuple[float, ...]
    notes: tuple[str, ...]

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
    refit_s: float | None,
    deadline: float,
) -> Assembly:
    """Assemble the ensemble of the finished trials.

    Args:
        folder: Folder of the data and the results.
        data: The data of the search.
        trials: All trials.
        options: Of the search.
        refit_s: Time in which members are fitted on all rows; None where the models of the folds are the members.
        deadline: Instant of `time.monotonic` at which everything must be finished.

    Raises:
        HeadraceError: No trial finished.
    """
    complete = [trial for trial in trials if trial.status == "ok" and trial.loss is not None]
    if not complete:
        raise HeadraceError("no configuration was evaluated in full", where="automl", fix="give it more time")
    ranked = sorted(complete, key=lambda trial: (trial.loss, trial.number))[:_LIBRARY]
    stored = {trial.number: np.load(folder / f"{trial.info['file']}.npy") for trial in ranked}
    selection = _select(data, ranked, stored, options, deadline)
    chosen = [(trial, float(weight)) for trial, weight in zip(ranked, selection.weights, strict=True) if weight > 0]
    notes: list[str] = []
    members, preparations = _load_bags(folder, data, chosen)
    if refit_s is not None:
        members, preparations, notes = _refitted(data, members, preparations, chosen, options, refit_s, deadline)
    rows, metric = data.valid_rows, metric_of(data.task)
    pooled = sum(weight * stored[trial.number].astype(np.float64) for trial, weight in chosen)
    label, weights = data.label[rows], data.weights(rows)
    calibration = fit_calibration(label, pooled, weights, data.task, metric, temper=options.calibrate)
    predictions = calibration.apply(np.asarray(pooled), data.task)
    decided = (predictions >= calibration.threshold).astype(np.float64) if calibration.threshold != 0.5 else predictions
    return Assembly(
        members=members, preparations=preparations, calibration=calibration, predictions=predictions,
        loss=metric.loss(label, decided, weights, data.task), label=label, trace=selection.trace, notes=tuple(notes),
    )  # fmt: skip


def _select(
    data: SearchData, ranked: Sequence[Trial], stored: Mapping[int, Any], options: Options, deadline: float
) -> Selection:
    rows, metric = data.valid_rows, metric_of(data.task)
    if not options.ensemble:
        first = np.zeros(len(ranked))
        first[0] = 1.0
        loss = ranked[0].loss
        assert loss is not None
        return Selection(weights=first, loss=loss, trace=(loss,))
    limit = min(_ROWS, max(1_000, _NUMBERS // (len(ranked) * data.task.n_outputs)))
    sample = np.arange(len(rows))
    if len(rows) > limit:
        sample = np.sort(np.random.default_rng(options.seed).choice(len(rows), limit, replace=False))
    predictions = np.stack([stored[trial.number][sample] for trial in ranked]).astype(np.float64)
    label, weights = data.label[rows[sample]], data.weights(rows[sample])

    def loss_of(p: Floats) -> float:
        return metric.loss(label, p, weights, data.task)

    until = min(deadline, time.monotonic() + max(0.5, 0.4 * (deadline - time.monotonic())))
    if options.cost_tolerance is None:
        return select(predictions, loss_of, deadline=until)
    costs = [float(trial.info["predict_us"]) for trial in ranked]
    return cheapest(predictions, costs, loss_of, tolerance=options.cost_tolerance, deadline=until)


def _load_bags(
    folder: Path, data: SearchData, chosen: Sequence[tuple[Trial, float]]
) -> tuple[tuple[Member, ...], dict[str, Preparation]]:
    """Load the models of the folds of the chosen trials."""
    import joblib  # type: ignore[import-untyped]

    members, preparations = [], {}
    for trial, weight in chosen:
        fitted: list[FittedConfig] = joblib.load(folder / f"{trial.info['file']}.joblib")
        spec = fingerprint(split_table_config(trial.config)[2])[:12]
        keys = [f"{number}-{spec}" for number in range(len(fitted))]
        for key in keys:
            if key not in preparations:
                preparations[key] = joblib.load(folder / f"prepared-{key}.joblib")
        parts = tuple(zip(keys, fitted, strict=True))
        members.append(Member(trial=trial.number, config=trial.config, weight=weight, parts=parts))
    return tuple(members), preparations


def _refitted(
    data: SearchData,
    members: tuple[Member, ...],
    preparations: dict[str, Preparation],
    chosen: Sequence[tuple[Trial, float]],
    options: Options,
    refit_s: float,
    deadline: float,
) -> tuple[tuple[Member, ...], dict[str, Preparation], list[str]]:
    """Fit the members on all rows, the heaviest first, until the time is up; the others keep their last fold's model.

    The number of boosting rounds is that of the last fold.
    """
    until = min(deadline, time.monotonic() + refit_s)
    seconds = {trial.number: trial.seconds / len(data.folds) for trial, _ in chosen}
    refitted: list[Member] = []
    kept: dict[str, Preparation] = {}
    late = 0
    for member in sorted(members, key=lambda member: -member.weight):
        if time.monotonic() + seconds[member.trial] > until:
            late += 1
            key, fitted = member.parts[-1]
            kept[key] = preparations[key]
        else:
            key, fitted = _fit_all(data, member, kept, options, until)
        refitted.append(Member(trial=member.trial, config=member.config, weight=member.weight, parts=((key, fitted),)))
    note = f"{late} of {len(members)} members keep the model of their last fold: no time to fit all rows"
    return tuple(refitted), kept, [note] if late else []


def _fit_all(
    data: SearchData, member: Member, kept: dict[str, Preparation], options: Options, until: float
) -> tuple[str, FittedConfig]:
    spec = split_table_config(member.config)[2]
    key, rows = f"all-{fingerprint(spec)[:12]}", np.arange(len(data.label))
    preparation = Preparation(spec, data.cleaner, data.without_trend)
    target = Target(label=encodable_label(data, rows), task=data.task, seed=options.seed)
    design = preparation.fit_transform(data.frame, target)
    kept.setdefault(key, preparation)
    fit = Fit(
        task=data.task, seed=options.seed, threads=options.n_workers, deadline=until,
        rounds=member.parts[-1][1].fitted.rounds,
    )  # fmt: skip
    return key, fit_config(member.config, fold_rows(data, design, rows), None, fit)
