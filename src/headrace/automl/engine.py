"""The engine of AutoML: table and target to a fitted ensemble, within a time limit; for the estimators and the command.

clean -> folds -> search (start list, then Bayesian optimisation, raced by fold) -> ensemble -> calibration
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.assembly import Assembly, assemble
from headrace.automl.ensemble.model import TableModel
from headrace.automl.families import usable_families
from headrace.automl.options import Options
from headrace.automl.sizing import Times, divide, fold_count
from headrace.automl.table.cleaning import Cleaner, require_rows
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.data import SearchData, write_data
from headrace.automl.trials.objective import TableObjective
from headrace.automl.trials.space import joint_space, start_list
from headrace.automl.validation.folds import make_folds
from headrace.automl.validation.guess import Decision, decide_validation
from headrace.search.searchers import get_searcher
from headrace.search.space import Space
from headrace.search.study.budget import Limits
from headrace.search.study.study import StudyResult, run_study
from headrace.search.trial import Trial

#: A table with more cells than this is searched by one worker with all cores.
_LARGE = 20_000_000
#: Time in which killed workers exit.
_GRACE_S = 1.0


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
    data, decision, notes = _prepared(table, options)
    families, left_out = usable_families(options.families, table.task, len(data.label), data.frame.shape[1])
    space = joint_space(families, table.task, data.label)
    refit = decision.mode == "time" or options.cost_tolerance is not None or len(data.folds) == 1
    times = (
        Times(search=math.inf, trial=math.inf, kill=math.inf, refit=math.inf)
        if options.seconds is None
        else divide(options.seconds, time.monotonic() - started, refit=refit)
    )
    finished_s: dict[int, float] = {}

    def record(trial: Trial) -> None:
        finished_s[trial.number] = time.monotonic() - started
        if on_trial is not None:
            on_trial(trial)

    with tempfile.TemporaryDirectory(prefix="headrace-automl-") as name:
        folder = Path(name)
        digest = write_data(folder, data)
        starts = start_list(families, table.task, data.label, options.portfolio)
        result = _study(space, folder, digest, options, times, starts, record, data.frame.size)
        deadline = math.inf if options.seconds is None else started + 0.99 * options.seconds
        assembly = assemble(
            folder, data, result.trials, options, refit_s=times.refit if refit else None, deadline=deadline
        )
    seconds = time.monotonic() - started
    facts = _facts(data, decision, assembly, options, seconds)
    model = assembly.model(data.task, data.cleaner, facts)
    every_note = (f"validation: {decision.mode} ({decision.reason})", *notes, *left_out, *assembly.notes)
    return Outcome(
        model=model, trials=result.trials, finished_s=finished_s, assembly=assembly, space=space, decision=decision,
        notes=every_note, seconds=seconds,
    )  # fmt: skip


def _prepared(table: Table, options: Options) -> tuple[SearchData, Decision, list[str]]:
    cleaner = Cleaner.fit(table.frame)
    frame = cleaner.transform(table.frame)
    if table.keys is not None:
        mode = "time" if options.validation == "time" else "group"
        decision, keys = Decision(mode=mode, reason="the keys of the rows were given"), _positions(table.keys)  # type: ignore[arg-type]
    else:
        to_predict = None if table.to_predict is None else cleaner.transform(table.to_predict)
        decision = decide_validation(
            frame, cleaner, mode=options.validation, time=options.time, groups=options.groups, to_predict=to_predict
        )
        keys = _positions(frame[decision.column]) if decision.column else None
    if decision.mode == "group" and decision.column and len(cleaner.used) > 1:
        cleaner = Cleaner.fit(table.frame, ignore=(decision.column,))
        frame = cleaner.transform(table.frame)
    count = options.folds or fold_count(len(frame), frame.shape[1], options.seconds)
    folds = make_folds(decision.mode, table.label, table.task, count=count, seed=options.seed, keys=keys)
    trend = (decision.column,) if decision.mode == "time" else ()
    data = SearchData(
        frame=frame, label=table.label, weight=table.weight, folds=folds, cleaner=cleaner, task=table.task,
        without_trend=trend,
    )  # fmt: skip
    return data, decision, cleaner.notes()


def _positions(values: Any) -> Any:
    """Return the rank of each value as a whole number; missing values are a rank of their own, the first."""
    return pd.factorize(pd.Series(values), sort=True, use_na_sentinel=True)[0].astype(np.int64)


def _study(
    space: Space, folder: Path, digest: str, options: Options, times: Times, starts: Any,
    record: Callable[[Trial], None], cells: int,
) -> StudyResult:  # fmt: skip
    workers = options.n_workers
    workers, threads = (1, workers) if cells > _LARGE else (workers, 1)
    limited = options.seconds is not None
    search_s = max(0.5, times.search - _GRACE_S) if limited else None
    deadline = time.monotonic() + search_s if search_s is not None else math.inf
    objective = TableObjective(
        folder=folder, digest=digest, seed=options.seed, threads=threads, deadline=deadline, trial_s=times.trial
    )
    memory_mb = None if options.memory_gb is None else 1000 * options.memory_gb / workers
    limits = Limits(seconds=times.kill if limited else None, memory_mb=memory_mb)
    with _without_main_module():
        return run_study(
            space, objective, get_searcher(options.searcher)(space), seed=options.seed,
            journal_path=folder / "journal.jsonl", trials=options.trials, seconds=search_s, workers=workers,
            limits=limits, racing=options.racing, warm_start=starts, on_trial=record,
        )  # fmt: skip


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep spawned workers from running the user's script again: they need nothing of it."""
    main = sys.modules["__main__"]
    saved = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    try:
        if "__file__" in saved:
            del main.__file__
        main.__spec__ = None
        yield
    finally:
        for name, value in saved.items():
            setattr(main, name, value)


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
