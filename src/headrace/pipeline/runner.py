"""The run: stages in order, each loaded from disk when a later one needs it. Says what was done; decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import DeclarationError
from headrace.core.files import write_json
from headrace.pipeline import features, ingest, production, release, training
from headrace.pipeline.context import Context
from headrace.pipeline.report import RunReport, summarise
from headrace.pipeline.stage import Done, Stage, StageReport, run
from headrace.problems.catalogue import load_problem

STAGES: tuple[Stage, ...] = (
    ingest.STAGE,
    features.SYNTHESISE,
    features.SELECT,
    features.PUBLISH,
    features.TRAINING_SET,
    training.SEARCH,
    training.TRACK,
    training.EVALUATE,
    training.REFIT,
    release.REGISTER,
    release.PROMOTE,
    production.REPLAY,
    release.MATERIALISE,
)


class PipelineRun:
    """One run of the main job: `run_stage` each of `stage_names` in order, then `finish`."""

    def __init__(self, context: Context, stages: tuple[Stage, ...] = STAGES) -> None:
        self.context = context
        self._stages = {stage.name: stage for stage in stages}
        self._done: dict[str, Done] = {}
        self._reports: dict[str, StageReport] = {}
        self._started = time.perf_counter()

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names in the order they run."""
        return tuple(self._stages)

    def run_stage(self, name: str) -> StageReport:
        """Run one stage, or find it done; stages that it needs are run first if they were not yet."""
        if name not in self._stages:
            raise DeclarationError(f"no stage {name!r}", found=self.stage_names)
        if name not in self._reports:
            stage = self._stages[name]
            for needed in stage.needs:
                self.run_stage(needed)
            needs = {needed: self._done[needed] for needed in stage.needs}
            self._done[name], self._reports[name] = run(stage, self.context, needs)
        return self._reports[name]

    def outputs(self, name: str) -> Mapping[str, Any]:
        """The facts of a finished stage."""
        self.run_stage(name)
        return self._done[name].facts

    def folder(self, name: str) -> Path:
        """The folder of a finished stage."""
        self.run_stage(name)
        return self._done[name].folder

    def finish(self, addresses: Mapping[str, str] | None = None) -> RunReport:
        """Write last_run.json and hand back what people want to see."""
        for name in self.stage_names:
            self.run_stage(name)
        report = summarise(
            self.context,
            self._done,
            list(self._reports.values()),
            seconds=time.perf_counter() - self._started,
            addresses=addresses or {},
        )
        write_json(self.context.root / "runs" / self.context.problem.name / "last_run.json", report.as_json())
        return report


def open_run(reference: str, root: Path, *, tracking_uri: str = "", **options: Any) -> PipelineRun:
    """A run of the problem named or filed `reference`, with its state below `root`.

    options: until_us, trials, seed, workers, max_memory (see Context); trials left out means the problem's own number.
    """
    problem = load_problem(reference)
    chosen = {name: value for name, value in options.items() if value is not None}
    context = Context(
        problem=problem,
        # absolute, for other processes load it from other folders
        reference=str(problem.path or reference),
        root=root.absolute(),
        tracking_uri=tracking_uri or f"sqlite:///{root.absolute() / 'mlflow' / 'mlflow.db'}",
        **{"trials": problem.trials, **chosen},
    )
    return PipelineRun(context)


def run_all(pipeline: PipelineRun, on_stage: Callable[[StageReport], None] = lambda report: None) -> RunReport:
    """Every stage in order, without Prefect."""
    for name in pipeline.stage_names:
        on_stage(pipeline.run_stage(name))
    return pipeline.finish()
