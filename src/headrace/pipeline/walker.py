"""The run: stages in order, each loaded from disk when a later one needs it. Says what was done; decides nothing.

A stage that another finds damaged is made again from its needs, and the other goes on. Where it comes out as it was,
which its digest tells, the stages between them stand; otherwise their keys are others, and they are run as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from headrace.core.errors import DeclarationError, HeadraceError
from headrace.core.home import open_home
from headrace.core.replicas import write_replicas
from headrace.pipeline.catalogue import STAGES
from headrace.pipeline.context import Context
from headrace.pipeline.report import RunReport, summarise
from headrace.pipeline.stage import DamagedStage, Done, Stage, StageReport, run
from headrace.problems.catalogue import load_problem

_Result = TypeVar("_Result")


class PipelineRun:
    """One run of the main job: `run_stage` each of `stage_names` in order, then `finish`."""

    def __init__(self, context: Context, stages: tuple[Stage, ...] = STAGES) -> None:
        self.context = context
        self._stages = {stage.name: stage for stage in stages}
        self._done: dict[str, Done] = {}
        self._reports: dict[str, StageReport] = {}
        self._made_again: set[str] = set()
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
            self._done[name], self._reports[name] = self._mending(lambda: self._run(name))
        return self._reports[name]

    def _run(self, name: str, *, thoroughly: bool = False) -> tuple[Done, StageReport]:
        stage = self._stages[name]
        for needed in stage.needs:
            self.run_stage(needed)
        needs = {needed: self._done[needed] for needed in stage.needs}
        return run(stage, self.context, needs, thoroughly=thoroughly)

    def _mending(self, work: Callable[[], _Result]) -> _Result:
        """Do what reads files of stages; again, where one was damaged and has been made again."""
        while True:
            try:
                return work()
            except DamagedStage as damage:
                self._make_again(damage)

    def _make_again(self, damage: DamagedStage) -> None:
        name = damage.facts["stage"]
        if name in self._made_again:
            raise HeadraceError(
                f"{damage.what}, again after it was made again",
                where=damage.where,
                fix="look at the disk and the memory",
            ) from damage
        self._made_again.add(name)
        before = self._done[name].digest
        self._forget(name)
        self._done[name], self._reports[name] = self._mending(lambda: self._run(name, thoroughly=True))
        if self._done[name].digest != before:
            self.context.on_damage(f"{name}: came out otherwise than before; what depends on it is run again")
            for stage in self._stages.values():
                if self._depends(stage, name):
                    self._forget(stage.name)

    def _forget(self, name: str) -> None:
        self._done.pop(name, None)
        self._reports.pop(name, None)

    def _depends(self, stage: Stage, on: str) -> bool:
        return any(needed == on or self._depends(self._stages[needed], on) for needed in stage.needs)

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
        report = self._mending(lambda: self._summary(addresses or {}))
        write_replicas(self.context.root / "runs" / self.context.problem.name / "last_run.json", report.as_json())
        return report

    def _summary(self, addresses: Mapping[str, str]) -> RunReport:
        reports = [self.run_stage(name) for name in self.stage_names]
        seconds = time.perf_counter() - self._started
        return summarise(self.context, self._done, reports, seconds=seconds, addresses=addresses)


def open_run(reference: str, root: Path, *, tracking_uri: str = "", **options: Any) -> PipelineRun:
    """A run of the problem named or filed `reference`, with its state below `root`.

    options: until_us, trials, seed, workers, max_memory (see Context); trials left out means the problem's own number.
    """
    problem = load_problem(reference)
    open_home(root.absolute())
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
