"""The stage `search`: search for a model configuration on the folds before the gate window."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.core.files import read_json, write_json
from headrace.evaluate.metrics import METRICS
from headrace.models.families import FAMILIES, split_config, study_space, warm_start
from headrace.models.objective import TrialObjective, prepare
from headrace.models.space import Config, Space
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Done, Needs, Stage, journal_path
from headrace.pipeline.stages.inputs import load_training_set, shares_of
from headrace.search.report.page import write_report
from headrace.search.report.plots import plot_history, plot_importances
from headrace.search.searchers import SEARCHERS, get_searcher
from headrace.search.space import config_errors
from headrace.search.study.budget import Limits
from headrace.search.study.progress import Progress
from headrace.search.study.study import StudyInterrupted, incumbent, run_study
from headrace.search.trial import Trial

#: What a model depends on.
CODE = ("headrace.models", "headrace.evaluate", "headrace.search")


#: What a search leaves for people, in its stage's folder.
STUDY_REPORT = "report.html"


_FIGURES = ("history.png", "importances.png")


def _search(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """A study on the folds before the gate. Its journal lies beside the stage's folder, so a killed search goes on.

    Raises StudyInterrupted on Ctrl-C: a search that was not finished is nobody's input.
    """
    data, problem = load_training_set(context, needs), context.problem
    digest = prepare(folder / "data", data.design, data.label, data.folds)
    objective = TrialObjective(
        folder=folder / "data",
        digest=digest,
        metric=problem.metric,
        seed=context.seed,
        shares=(0.5,) if problem.racing else (),
        handed=problem.extensions,
    )
    space, first = _recipes(problem.families, needs["select"])
    result = run_study(
        space,
        objective,
        get_searcher(problem.searcher)(space),
        trials=context.trials,
        seed=context.seed,
        workers=context.workers,
        journal_path=journal_path(folder),
        warm_start=first[: context.trials],
        on_trial=_told(context),
        on_damage=context.on_damage,
        seconds=problem.search_seconds,
        limits=Limits(seconds=problem.trial_seconds, memory_mb=problem.trial_memory_mb),
        isolated=True,
        racing=problem.racing,
    )
    metric = METRICS[problem.metric]
    value = -metric.sign * float(result.best.loss or 0.0)
    if result.ended == "interrupted":
        raise StudyInterrupted(
            f"interrupted after {len(result.trials)} of {context.trials} trials",
            where="search",
            found=[f"best so far: {metric.name} {value:.4f} of trial {result.best.number}"],
            fix="run it again to go on from there",
        )
    shutil.rmtree(folder / "data")
    plot_history(result.trials, folder / "history.png", metric=metric.name, greater_is_better=metric.greater_is_better)
    importances = plot_importances(space, result.trials, folder / "importances.png", seed=context.seed)
    title = f"Study of {problem.name}: {len(result.trials)} trials by {problem.searcher}"
    report = folder / STUDY_REPORT
    write_report(space, result.trials, report, metric=metric, title=title, importances=importances)
    write_json(folder / "trials.json", [trial.to_json() for trial in result.trials])
    write_json(folder / "leaderboard.json", leaderboard(result.trials, metric.name))
    return {
        "key": result.key,
        "config": result.best.config,
        "fallback": _fallback(result.trials, result.best, len(first)),
        "rounds": result.best.info.get("rounds"),
        "value": value,
        "trials": len(result.trials),
        "stopped": sum(trial.status == "stopped" for trial in result.trials),
        "failed": sum(trial.status == "failed" for trial in result.trials),
        "importances": importances,
        "windows": data.windows.describe(),
    }


def _fallback(trials: tuple[Trial, ...], best: Trial, first: int) -> Config | None:
    """The best of the configs that the study began with, which what it has found must beat; None where it is that."""
    known = incumbent([trial for trial in trials if trial.number < first])
    return None if known is None or known.number == best.number else known.config


def _recipes(declared: Sequence[str], selected: Done) -> tuple[Space, tuple[Config, ...]]:
    """What is searched and what is tried first. A refresh (pipeline.refresh) stays in the champion's family, and
    begins with the champion's own config, where the family still has it."""
    config = selected.facts.get("config")
    if config is None:
        families = tuple(declared) or tuple(FAMILIES.built_in)
        return study_space(families), warm_start(families)
    families = (split_config(config)[0].name,)
    space, defaults = study_space(families), warm_start(families)
    known = [config] if not config_errors(space, config) and config not in defaults else []
    return space, (*known, *defaults)


def _told(context: Context) -> Callable[[Trial], None]:
    progress = Progress(METRICS[context.problem.metric], trials=context.trials, seconds=context.problem.search_seconds)

    def tell(trial: Trial) -> None:
        line = progress.add(trial)
        if context.on_search is not None:
            context.on_search(line)

    return tell


def leaderboard(trials: tuple[Trial, ...], metric: str, rows: int = 10) -> list[dict[str, Any]]:
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
        for rank, trial in enumerate(measured[:rows], start=1)
    ]


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


SEARCH = Stage(
    name="search",
    run=_search,
    needs=("ingest", "synthesise", "select", "training-set"),
    code=CODE,
    parameters=lambda context: {
        "trials": context.trials,
        "seed": context.seed,
        "workers": context.workers,
        "searcher": context.problem.searcher,
        "racing": context.problem.racing,
        "families": {name: FAMILIES.code(name) for name in context.problem.families},
        "searcher code": SEARCHERS.code(context.problem.searcher),
        "seconds": context.problem.search_seconds,
        "limits": [context.problem.trial_seconds, context.problem.trial_memory_mb],
        "shares": shares_of(context),
    },
)


def trials_of(searched: Done) -> tuple[Trial, ...]:
    """The trials of a finished search."""
    return tuple(Trial.from_json(item) for item in read_json(searched.path("trials.json")))
