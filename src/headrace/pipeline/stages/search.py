"""The stage `search`: search for a model configuration on the folds before the gate window."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headrace.core.files import read_json, write_json
from headrace.evaluate.metrics import METRICS
from headrace.models.families import FAMILIES
from headrace.models.objective import TrialObjective, prepare
from headrace.models.space import Config
from headrace.pipeline.context import Context
from headrace.pipeline.fence import require_token
from headrace.pipeline.stage import FinishedStage, Inputs, Stage
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.study_plan import StudyPlan, study_plan
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.stages.training_rows import load_training_rows
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.stages.windows import window_shares
from headrace.search.searchers import SEARCHERS
from headrace.search.study.budget import Limits
from headrace.search.study.progress import Progress
from headrace.search.study.shared_pool import SharedPool
from headrace.search.study.study import StudyInterrupted, StudyResult, incumbent, run_study
from headrace.search.transfer.known import STUDY, carry_on
from headrace.search.trial import Trial

#: The best trials, for people.
LEADERBOARD = "leaderboard.json"
#: All trials.
TRIALS = "trials.json"
#: How long the search took, in wall-clock seconds; no part of the output, which is the same however long it took.
DURATION = "duration.json"
_ROWS_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class SearchOutput:
    """The result of a study; its trials lie beside this.

    Attributes:
        key: identifies the study, whatever its budget.
        config: of the incumbent.
        fallback: the best of the family defaults that the study began with, or the champion's config in a retrain,
            which the incumbent must beat. None: it is one.
        rounds: boosting rounds of the incumbent, where its family has any.
        value: the incumbent's metric, mean over the folds.
        trials, stopped, failed: how many there were, and how they ended.
        known: how many trials of the champion's study the search started from.
        note: what of the champion's study was not used, for people.
        windows: of the rows.
    """

    key: str
    config: Mapping[str, Any]
    fallback: Mapping[str, Any] | None
    rounds: int | None
    value: float
    trials: int
    stopped: int
    failed: int
    windows: Mapping[str, str | int]
    known: int = 0
    note: str = ""


def _run(context: Context, inputs: Inputs, folder: Path) -> SearchOutput:
    """Run a study on the folds before the gate, or go on with the one in the journal.

    Raises:
        StudyInterrupted: on Ctrl-C. A search that was not finished is nobody's input.
    """
    data, problem = load_training_rows(context, inputs), context.problem
    plan = study_plan(problem.families, inputs[SELECT])
    trials = plan.budget(context.trials, problem.retrain_trials)
    racing = plan.racing(problem.racing)
    for note in filter(None, (plan.note, data.windows.note)):
        context.progress.message(SEARCH.name, note)
    digest = prepare(folder / "data", data.design, data.label, data.folds)
    objective = TrialObjective(
        folder=folder / "data",
        digest=digest,
        metric=problem.metric,
        seed=context.seed,
        shares=(0.5,) if racing else (),
        handed=problem.extensions,
    )
    started = time.perf_counter()
    result = run_study(
        plan.space,
        objective,
        plan.searcher(problem.searcher),
        trials=trials,
        seed=context.seed,
        workers=context.workers,
        journal_path=inputs.journal,
        warm_start=plan.first,
        on_trial=_reporter(context, trials),
        on_damage=context.progress.damage,
        seconds=problem.search_seconds,
        limits=Limits(seconds=problem.trial_seconds, memory_mb=problem.trial_memory_mb),
        isolated=True,
        racing=racing,
        pool=_shared_pool(context, objective),
    )
    elapsed, metric = time.perf_counter() - started, METRICS[problem.metric]
    value = -metric.sign * float(result.best.loss or 0.0)
    _require_finished(result, trials, f"{metric.name} {value:.4f}")
    shutil.rmtree(folder / "data")
    write_json(folder / TRIALS, [trial.to_json() for trial in result.trials])
    write_json(folder / DURATION, {"seconds": search_seconds(result.trials, context.workers, elapsed)})
    write_json(folder / LEADERBOARD, leaderboard(result.trials, metric.name, plan))
    write_json(folder / STUDY, [trial.to_json() for trial in carry_on(plan.known, result.trials)])
    return SearchOutput(
        key=result.key,
        config=result.best.config,
        fallback=_fallback(result.trials, result.best, plan.fallbacks),
        rounds=result.best.info.get("rounds"),
        value=value,
        trials=len(result.trials),
        stopped=sum(trial.status == "stopped" for trial in result.trials),
        failed=sum(trial.status == "failed" for trial in result.trials),
        windows=data.windows.describe(),
        known=len(plan.known),
        note=plan.note,
    )


def _shared_pool(context: Context, objective: TrialObjective) -> Callable[[], SharedPool] | None:
    """What evaluates trials on other machines, where a folder is shared with their workers."""
    if context.search_folder is None:
        return None
    folder = context.search_folder.absolute() / context.problem.name
    return lambda: SharedPool(objective, folder, on_worker=partial(context.progress.message, SEARCH.name))


def _require_finished(result: StudyResult, trials: int, best: str) -> None:
    if result.ended == "interrupted":
        raise StudyInterrupted(
            f"interrupted after {len(result.trials)} of {trials} trials",
            where="search",
            found=[f"best so far: {best} of trial {result.best.number}"],
            fix="run it again to go on from there",
        )


def search_seconds(trials: tuple[Trial, ...], workers: int, elapsed: float) -> float:
    """The length of a search (s): as measured, or that of its trials on all workers where it went on with a journal."""
    return max(elapsed, sum(trial.seconds for trial in trials) / max(workers, 1))


def _fallback(trials: tuple[Trial, ...], best: Trial, fallbacks: int) -> Config | None:
    """The best of the first trials, so many as `fallbacks` says; None where it is the incumbent."""
    default = incumbent([trial for trial in trials if trial.number < fallbacks])
    return None if default is None or default.number == best.number else default.config


def _reporter(context: Context, trials: int) -> Callable[[Trial], None]:
    problem = context.problem
    line = Progress(METRICS[problem.metric], trials=trials, seconds=problem.search_seconds)

    def report(trial: Trial) -> None:
        require_token(context)  # a search is long, and its journal is also that of the run that replaces this one
        context.progress.message(SEARCH.name, line.add(trial))

    return report


def leaderboard(trials: tuple[Trial, ...], metric: str, plan: StudyPlan | None = None) -> list[dict[str, Any]]:
    """The best trials, best first, for people; in a retrain with the origin of their configs."""
    whole = [trial for trial in trials if trial.status == "ok"]
    measured = sorted(whole, key=lambda trial: (trial.loss, trial.number))
    return [
        {
            "rank": rank,
            "trial": trial.number,
            **({"origin": plan.origin(trial.number)} if plan is not None and plan.retrain else {}),
            metric: round(float(trial.info["value"]), 5),
            "rounds": trial.info["rounds"],
            "seconds": round(trial.seconds, 1),
            **{name: _short(value) for name, value in trial.config.items()},
        }
        for rank, trial in enumerate(measured[:_ROWS_SHOWN], start=1)
    ]


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def read_trials(searched: FinishedStage[SearchOutput]) -> tuple[Trial, ...]:
    """The trials of a finished search, by number."""
    return tuple(Trial.from_json(item) for item in read_json(searched.path(TRIALS)))


SEARCH = Stage(
    name="search",
    output=SearchOutput,
    run=_run,
    needs=(INGEST, SYNTHESISE, SELECT, TRAINING_SET),
    parameters=lambda context: {
        "seed": context.seed,
        "workers": context.workers,
        "searcher": context.problem.searcher,
        "racing": context.problem.racing,
        "families": {name: FAMILIES.code(name) for name in context.problem.families},
        "searcher code": SEARCHERS.code(context.problem.searcher),
        "limits": [context.problem.trial_seconds, context.problem.trial_memory_mb],
        "shares": window_shares(context),
    },
    budget=lambda context: {
        "trials": context.trials,
        "retrain_trials": context.problem.retrain_trials,
        "seconds": context.problem.search_seconds,
    },
)
