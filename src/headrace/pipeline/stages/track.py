"""The stage `track`: write the study to MLflow, a parent run and a child per trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.core.files import read_json
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.search import DURATION, LEADERBOARD, SEARCH, read_trials
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.search.transfer.known import STUDY


@dataclass(frozen=True, kw_only=True)
class TrackOutput:
    """Where MLflow has the study: the id of its parent run, and of its experiment."""

    run_id: str
    experiment_id: str


def _run(context: Context, inputs: Inputs, folder: Path) -> TrackOutput:
    from headrace.registry.tracking import experiment_of, log_study

    searched = inputs[SEARCH]
    found = searched.output
    run_id = log_study(
        context.tracking_uri,
        context.problem.name,
        # The study's key leaves the budget out: a longer search of the same study is another run for people.
        key=f"{found.key}-{found.trials}",
        study_name=f"study {found.key[:8]}",
        trials=read_trials(searched),
        params={
            "searcher": context.problem.searcher,
            "trials": found.trials,
            "seed": context.seed,
            "known_trials": found.known,
        },
        metrics={f"tune_{context.problem.metric}": found.value},
        tags={"headrace.train_set_sha": inputs[TRAINING_SET].output.sha256},
        artifacts=[searched.path(LEADERBOARD), searched.path(STUDY)],
        seconds=float(read_json(searched.path(DURATION))["seconds"]),
    )
    return TrackOutput(run_id=run_id, experiment_id=experiment_of(context.tracking_uri, context.problem.name))


def _effects_exist(context: Context, output: TrackOutput) -> bool:
    from headrace.registry.tracking import run_exists

    return run_exists(context.tracking_uri, output.run_id)


TRACK = Stage(
    name="track",
    output=TrackOutput,
    run=_run,
    needs=(SEARCH, TRAINING_SET),
    parameters=lambda context: {"server": context.store_identity},
    effects_exist=_effects_exist,
)
