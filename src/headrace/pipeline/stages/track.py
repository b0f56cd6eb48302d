"""The stage `track`: write the study to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.pipeline.context import Context
from headrace.pipeline.stage import Needs, Stage
from headrace.pipeline.stages.search import _FIGURES, STUDY_REPORT, trials_of


def _track(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """The study in MLflow: a parent run, a child per trial, the plots."""
    from headrace.registry.tracking import experiment_of, log_study

    searched = needs["search"]
    run_id = log_study(
        context.tracking_uri,
        context.problem.name,
        key=_study_name(context, needs),
        study_name=f"study {searched.facts['key'][:8]}",
        trials=trials_of(searched),
        params={"searcher": context.problem.searcher, "trials": searched.facts["trials"], "seed": context.seed},
        metrics={f"tune_{context.problem.metric}": searched.facts["value"]},
        tags={"headrace.train_set_sha": needs["training-set"].facts["sha256"]},
        artifacts=[searched.path(name) for name in (STUDY_REPORT, *_FIGURES, "leaderboard.json")],
    )
    return {"run_id": run_id, "experiment_id": experiment_of(context.tracking_uri, context.problem.name)}


def _study_name(context: Context, needs: Needs) -> str:
    # The study's key leaves the budget out: a longer search of the same study is another run for people.
    return f"{needs['search'].facts['key']}-{needs['search'].facts['trials']}"


def _tracked(context: Context, facts: Mapping[str, Any]) -> bool:
    from headrace.registry.tracking import run_exists

    return run_exists(context.tracking_uri, facts["run_id"])


TRACK = Stage(
    name="track",
    run=_track,
    needs=("search", "training-set"),
    code=("headrace.registry.tracking",),
    parameters=lambda context: {"server": context.store_identity},
    standing=_tracked,
)
