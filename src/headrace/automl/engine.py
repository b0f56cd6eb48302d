"""The engine of AutoML: table and target to a fitted ensemble, within a time limit; for the estimators and the command.

clean -> folds -> search (start list, then Bayesian optimisation, raced by fold) -> ensemble -> calibration
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.assembly import Assembly, assemble
from headrace.automl.ensemble.model import TableModel
from headrace.automl.ensemble.stacking import may_stack
from headrace.automl.families import load_packages, usable_families
from headrace.automl.options import Options
from headrace.automl.searching import search_data, search_space
from headrace.automl.sizing import Refit, divide, fold_count
from headrace.automl.table.cleaning import Cleaner, require_rows
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.data import SearchData
from headrace.automl.validation.folds import TableFold, make_folds
from headrace.automl.validation.guess import Decision, Mode, decide_validation
from headrace.core.errors import DataError
from headrace.search.space import Space
from headrace.search.trial import Trial

#: A mean of this many deviations is subtracted from the target; metrics of relative sizes, for which it is not.
_LARGE_MEAN, _OF_SIZES = 1_000.0, ("rmsle", "mape")
#: More classes than these are refused where most of them have one row.
_MANY_CLASSES = 20


@dataclass(frozen=True, kw_only=True)
class Table:
    """What is learned from.

    Attributes:
        frame: Columns without the target [n, d].
        label: Labels [n], as in `task`.
        task: The task.
        weight: Sample weights [n] or None.
        keys: Groups or times [n] given as an array, None where a column or nothing names them.
        to_predict: Rows to predict, where they are known: they help to guess the validation.
    """

    frame: pd.DataFrame
    label: Floats
    task: Task
    weight: Floats | None = None
    keys: Any = None
    to_predict: pd.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a search.

    Attributes:
        model: The fitted ensemble.
        trials: All trials, by number.
        finished_s: Trial -> seconds from the start until it finished.
        assembly: The ensemble's members, loss and out-of-fold predictions.
        space: The space that was searched.
        decision: How rows were validated.
        notes: Lines for the user.
        seconds: Time of everything.
    """

    model: TableModel
    trials: tuple[Trial, ...]
    finished_s: dict[int, float]
    assembly: Assembly
    space: Space
    decision: Decision
    notes: tuple[str, ...]
    seconds: float


def search_table(
    table: Table, options: Options, *, on_trial: Callable[[Trial], None] | None = None, started: float | None = None
) -> Outcome:
    """Search a table and return the fitted ensemble.

    Args:
        table: What is learned from.
        options: Budget, validation, families.
        on_trial: Called with every finished trial.
        started: Instant of `time.monotonic` at which the budget begins; now where None.

    Raises:
        DataError: The table cannot be learned from.
        DeclarationError: An option names a column or a family that does not exist.
        HeadraceError: Every trial failed, or none finished in time.
    """
    started = time.monotonic() if started is None else started
    metric_of(table.task)
    require_rows(len(table.label))
    offset = _offset(table)
    table = replace(table, label=table.label - offset)
    data, decision, notes = _prepared(table, options)
    families, left_out = usable_families(options.families, table.task, len(data.label), data.frame.shape[1])
    load_packages(families)
    refit = _refit(data, decision, options)
    stack = options.stack and refit != "instead" and may_stack(data, families)
    times = divide(options.seconds, time.monotonic() - started, refit=refit, stack=stack)
    deadline = math.inf if options.seconds is None else started + 0.99 * options.seconds
    clock = _Clock(started, on_trial)
    with tempfile.TemporaryDirectory(prefix="headrace-automl-") as name:
        folder = Path(name)
        trials, search_notes = search_data(folder, data, families, options, times, on_trial=clock.record)
        assembly = assemble(
            folder, data, trials, options, refit=refit, refit_s=times.refit,
            stack_until=time.monotonic() + times.stack if stack else None, deadline=deadline,
        )  # fmt: skip
    seconds = time.monotonic() - started
    every_note = (f"validation: {decision.mode} ({decision.reason})", *notes, *left_out, *search_notes, *assembly.notes)
    model = assembly.model(data.task, data.cleaner, _facts(data, decision, assembly, options, seconds))
    return Outcome(
        model=replace(model, offset=offset),
        trials=trials, finished_s=clock.finished_s, assembly=assembly, decision=decision, notes=every_note,
        space=search_space(data, families, options), seconds=seconds,
    )  # fmt: skip


def _refit(data: SearchData, decision: Decision, options: Options) -> Refit:
    """Return whether members are fitted on all rows.

    Beside bags, models of all rows lowered the RMSE by 0.3 % on average; classes gained nothing (decision 79).
    """
    if decision.mode == "time" or options.cost_tolerance is not None or len(data.folds) == 1:
        return "instead"
    return "beside" if decision.mode == "random" and data.task.kind == "regression" else "no"


class _Clock:
    """Records when each trial finished, and passes it on."""

    def __init__(self, started: float, on_trial: Callable[[Trial], None] | None) -> None:
        self._started, self._on_trial = started, on_trial
        self.finished_s: dict[int, float] = {}

    def record(self, trial: Trial) -> None:
        self.finished_s[trial.number] = time.monotonic() - self._started
        if self._on_trial is not None:
            self._on_trial(trial)


def _prepared(table: Table, options: Options) -> tuple[SearchData, Decision, list[str]]:
    """Clean a table and divide its rows into folds."""
    cleaner = Cleaner.fit(table.frame)
    frame = cleaner.transform(table.frame)
    decision, keys = _validation(table, frame, cleaner, options)
    if decision.mode == "group" and decision.column and len(cleaner.used) > 1:
        cleaner = Cleaner.fit(table.frame, ignore=(decision.column,))
        frame = cleaner.transform(table.frame)
    count = options.folds or fold_count(len(frame), frame.shape[1], options.seconds)
    folds = make_folds(decision.mode, table.label, table.task, count=count, seed=options.seed, keys=keys)
    _require_classes(table.label, table.task, folds)
    trend = (decision.column,) if decision.mode == "time" else ()
    data = SearchData(
        frame=frame, label=table.label, weight=table.weight, folds=folds, cleaner=cleaner, task=table.task,
        without_trend=trend, time_rank=keys if decision.mode == "time" else None,
    )  # fmt: skip
    return data, decision, cleaner.notes()


def _offset(table: Table) -> float:
    """Return what is subtracted from numbers that differ little beside their size, such as seconds since 1970.

    Models compute with float32, in which their differences would be lost. Relative errors and logarithms are of the
    numbers as they are.
    """
    if table.task.classification or table.task.metric in _OF_SIZES:
        return 0.0
    mean, deviation = float(table.label.mean()), float(table.label.std())
    return mean if abs(mean) > _LARGE_MEAN * deviation else 0.0


def _require_classes(label: Floats, task: Task, folds: Sequence[TableFold]) -> None:
    """Check that classes can be learned.

    Raises:
        DataError: Most classes have one row, or all rows that one of the folds trains on are of one class.
    """
    if not task.classification:
        return
    _, counts = np.unique(label, return_counts=True)
    single = int((counts == 1).sum())
    if len(counts) > _MANY_CLASSES and single > len(counts) / 2:
        raise DataError(
            f"{single} of {len(counts)} classes have one row", where="target", found=list(task.classes)[:5],
            fix="learn numbers as such (a regressor; without units and separators), or name a column of classes",
        )  # fmt: skip
    for fold in folds:
        if len(np.unique(label[fold.train])) < 2:
            of_class = {str(task.classes[int(one)]): int((label == one).sum()) for one in np.unique(label)}
            raise DataError(
                "the rows that a fold trains on are of one class", where="target",
                found=[f"{name}: {count} rows" for name, count in of_class.items()],
                fix="load more rows of the rare class, or choose another validation",
            )  # fmt: skip


def _validation(table: Table, frame: pd.DataFrame, cleaner: Cleaner, options: Options) -> tuple[Decision, Any]:
    """Return how rows are validated, and the group or the rank in time of each row [n]."""
    if table.keys is not None and options.validation != "random":
        mode: Mode = "time" if options.validation == "time" else "group"
        return Decision(mode=mode, reason="the keys of the rows were given"), _positions(table.keys)
    to_predict = None if table.to_predict is None else cleaner.transform(table.to_predict)
    decision = decide_validation(
        frame, cleaner, mode=options.validation, time=options.time, groups=options.groups, to_predict=to_predict
    )
    return decision, _positions(frame[decision.column]) if decision.column else None


def _positions(values: Any) -> Any:
    """Return the rank of each value as a whole number; missing values are a rank of their own, the first."""
    return pd.factorize(pd.Series(values), sort=True, use_na_sentinel=True)[0].astype(np.int64)


def _facts(
    data: SearchData, decision: Decision, assembly: Assembly, options: Options, seconds: float
) -> dict[str, Any]:
    metric = metric_of(data.task)
    return {
        "rows": len(data.label),
        "columns": len(data.cleaner.used),
        "kind": data.task.kind,
        "metric": metric.name,
        "value": -assembly.loss if metric.greater_is_better else assembly.loss,
        "validation": decision.mode,
        "validation_reason": decision.reason,
        "folds": len(data.folds),
        "seed": options.seed,
        "seconds": round(seconds, 1),
    }
