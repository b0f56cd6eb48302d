"""The stage `search`: search for a model configuration on the folds before the gate window."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.core.files import read_json, write_json
from headrace.evaluate.metrics import METRICS
from headrace.models.families import FAMILIES, split_config, study_space, warm_start
from headrace.models.objective import TrialObjective, prepare
from headrace.models.space import Config, Space
from headrace.pipeline.context import Context
from headrace.pipeline.stage import FinishedStage, Inputs, Stage
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.select import SELECT, SelectOutput
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.stages.training_rows import load_training_rows
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.stages.windows import window_shares
from headrace.search.searchers import SEARCHERS, get_searcher
from headrace.search.space import config_errors
from headrace.search.study.budget import Limits
from headrace.search.study.progress import Progress
from headrace.search.study.study import StudyInterrupted, StudyResult, incumbent, run_study
from headrace.search.trial import Trial

#: The best trials, for people.
LEADERBOARD = "leaderboard.json"
_TRIALS = "trials.json"
_ROWS_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class SearchOutput:
    """The result of a study; its trials lie beside this.

    Attributes:
        key: identifies the study, whatever its budget.
        config: of the incumbent.
        fallback: the best of the configs that the study began with, which the incumbent must beat. None: it is one.
        rounds: boosting rounds of the incumbent, where its family has any.
        value: the incumbent's metric, mean over the folds.
        trials, stopped, failed: how many there were, and how they ended.
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


def _run(context: Context, inputs: Inputs, folder: Path) -> SearchOutput:
    """Run a study on the folds before the gate, or go on with the one in the journal.

    Raises:
        StudyInterrupted: on Ctrl-C. A search that was not finished is nobody's input.
    """
    data, problem = load_training_rows(context, inputs), context.problem
    digest = prepare(folder / "data", data.design, data.label, data.folds)
    objective = TrialObjective(
        folder=folder / "data",
        digest=digest,
        metric=problem.metric,
        seed=context.seed,
        shares=(0.5,) if problem.racing else (),
        handed=problem.extensions,
    )
    space, first = study_recipes(problem.families, inputs[SELECT])
    result = run_study(
        space,
        objective,
        get_searcher(problem.searcher)(space),
        trials=context.trials,
        seed=context.seed,
        workers=context.workers,
        journal_path=inputs.journal,
        warm_start=first,
        on_trial=_reporter(context),
        on_damage=context.progress.damage,
        seconds=problem.search_seconds,
        limits=Limits(seconds=problem.trial_seconds, memory_mb=problem.trial_memory_mb),
        isolated=True,
        racing=problem.racing,
    )
    metric = METRICS[problem.metric]
    value = -metric.sign * float(result.best.loss or 0.0)
    _require_finished(context, result, f"{metric.name} {value:.4f}")
    shutil.rmtree(folder / "data")
    write_json(folder / _TRIALS, [trial.to_json() for trial in result.trials])
    write_json(folder / LEADERBOARD, leaderboard(result.trials, metric.name))
    return SearchOutput(
        key=result.key,
        config=result.best.config,
        fallback=_fallback(result.trials, result.best, len(first)),
        rounds=result.best.info.get("rounds"),
        value=value,
        trials=len(result.trials),
        stopped=sum(trial.status == "stopped" for trial in result.trials),
        failed=sum(trial.status == "failed" for trial in result.trials),
        windows=data.windows.describe(),
    )


def _require_finished(context: Context, result: StudyResult, best: str) -> None:
    if result.ended == "interrupted":
        raise StudyInterrupted(
            f"interrupted after {len(result.trials)} of {context.trials} trials",
            where="search",
            found=[f"best so far: {best} of trial {result.best.number}"],
            fix="run it again to go on from there",
        )


def _fallback(trials: tuple[Trial, ...], best: Trial, first: int) -> Config | None:
    """The best of the configs that the study began with; None where it is the incumbent."""
    known = incumbent([trial for trial in trials if trial.number < first])
    return None if known is None or known.number == best.number else known.config


def study_recipes(declared: Sequence[str], selected: FinishedStage[SelectOutput]) -> tuple[Space, tuple[Config, ...]]:
    """The space that is searched, and the configs that are tried first.

    A refresh stays in the champion's family, and begins with the champion's own config, where the family still has it.
    """
    if selected.output.champion_config is None:
        families = tuple(declared) or tuple(FAMILIES.built_in)
        return study_space(families), warm_start(families)
    config = dict(selected.output.champion_config)
    families = (split_config(config)[0].name,)
    space, defaults = study_space(families), warm_start(families)
    known = [config] if not config_errors(space, config) and config not in defaults else []
    return space, (*known, *defaults)


def _reporter(context: Context) -> Callable[[Trial], None]:
    problem = context.problem
    line = Progress(METRICS[problem.metric], trials=context.trials, seconds=problem.search_seconds)
    return lambda trial: context.progress.message(SEARCH.name, line.add(trial))


def leaderboard(trials: tuple[Trial, ...], metric: str) -> list[dict[str, Any]]:
    """The best trials, best first, for people."""
    whole = [trial for trial in trials if trial.status == "ok"]
    measured = sorted(whole, key=lambda trial: (trial.loss, trial.number))
    return [
        {
            "rank": rank,
            "trial": trial.number,
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
    return tuple(Trial.from_json(item) for item in read_json(searched.path(_TRIALS)))


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
    budget=lambda context: {"trials": context.trials, "seconds": context.problem.search_seconds},
)
