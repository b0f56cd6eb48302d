"""The walker: runs stages in order, each loaded from disk when a later one needs it. It decides nothing.

A stage that another finds damaged is made again from its needs, and the other goes on. Where it comes out as it was,
which its digest shows, the stages between them are still valid; otherwise their keys change, and they are run as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from headrace.core.errors import DeclarationError, HeadraceError
from headrace.core.replicas import write_replicas
from headrace.pipeline.catalogue import STAGES
from headrace.pipeline.context import Context
from headrace.pipeline.fence import require_token
from headrace.pipeline.report import RunReport, summarise
from headrace.pipeline.stage import DamagedStage, FinishedStage, Inputs, Output, Stage, StageReport, run
from headrace.pipeline.stage_spans import describe_stage, stage_span

_Result = TypeVar("_Result")

#: Runs one stage, given its name and the function that does it: an orchestrator makes a task of it.
Execute = Callable[[str, Callable[[], StageReport]], StageReport]


def execute_here(name: str, run_stage: Callable[[], StageReport]) -> StageReport:
    """Run a stage in this thread."""
    return run_stage()


class PipelineRun:
    """One run of some stages for one problem.

    Args:
        context: of the run.
        stages: in the order they run; each after those that it needs.
    """

    def __init__(self, context: Context, stages: tuple[Stage[Any], ...] = STAGES) -> None:
        self.context = context
        self._stages = {stage.name: stage for stage in stages}
        self._finished: dict[str, FinishedStage[Any]] = {}
        self._reports: dict[str, StageReport] = {}
        self._repairs: set[str] = set()
        self._started = time.perf_counter()

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names in the order they run."""
        return tuple(self._stages)

    def walk(self, execute: Execute = execute_here) -> tuple[StageReport, ...]:
        """Run every stage in order, and report to the context's progress.

        Args:
            execute: runs each stage.
        """
        progress, reports = self.context.progress, []
        progress.run_started(self.stage_names)
        for name in self.stage_names:
            progress.stage_started(name)
            reports.append(execute(name, partial(self.run_stage, name)))
            progress.stage_finished(name, reports[-1].seconds, reports[-1].state)
        return tuple(reports)

    def complete(self, execute: Execute = execute_here, addresses: Mapping[str, str] | None = None) -> RunReport:
        """Run every stage of the main job, and write last_run.json.

        Args:
            execute: runs each stage.
            addresses: of services, by name, for people.
        """
        self.walk(execute)
        report = self._repaired(lambda: self._summary(addresses or {}))
        require_token(self.context)
        write_replicas(self.context.root / "runs" / self.context.problem.name / "last_run.json", report.as_json())
        return report

    def run_stage(self, name: str) -> StageReport:
        """Run one stage, or find it finished; stages that it needs are run first if they were not yet."""
        if name not in self._stages:
            raise DeclarationError(f"no stage {name!r}", found=self.stage_names)
        if name not in self._reports:
            with stage_span(self.context.problem.name, name) as current:
                self._finished[name], self._reports[name] = self._repaired(lambda: self._run(name))
                if current is not None:
                    describe_stage(current, self._finished[name], self._reports[name])
        return self._reports[name]

    def output(self, stage: Stage[Output]) -> Output:
        """The output of the run's stage of this name, which is run first if it was not yet."""
        self.run_stage(stage.name)
        return Inputs(finished=self._finished)[stage].output

    def folder(self, stage: Stage[Any]) -> Path:
        """The folder of the run's stage of this name, which is run first if it was not yet."""
        self.run_stage(stage.name)
        return self._finished[stage.name].folder

    def path(self, stage: Stage[Any], name: str) -> Path:
        """The path of a file or folder of a stage, compared with its checksums; a damaged stage is run again."""
        self.run_stage(stage.name)
        return self._repaired(lambda: self._finished[stage.name].path(name))

    def _run(self, name: str, *, thoroughly: bool = False) -> tuple[FinishedStage[Any], StageReport]:
        stage = self._stages[name]
        for needed in stage.needs:
            self.run_stage(needed.name)
        finished = {needed.name: self._finished[needed.name] for needed in stage.needs}
        return run(stage, self.context, finished, thoroughly=thoroughly)

    def _repaired(self, work: Callable[[], _Result]) -> _Result:
        """Do what reads files of stages; again, where one was damaged and has been made again."""
        while True:
            try:
                return work()
            except DamagedStage as damage:
                self._repair(damage)

    def _repair(self, damage: DamagedStage) -> None:
        name = damage.facts["stage"]
        if name in self._repairs:
            raise HeadraceError(
                f"{damage.what}, again after it was made again",
                where=damage.where,
                fix="look at the disk and the memory",
            ) from damage
        self._repairs.add(name)
        before = self._finished[name].digest
        self._forget(name)
        self._finished[name], self._reports[name] = self._repaired(lambda: self._run(name, thoroughly=True))
        if self._finished[name].digest != before:
            self.context.progress.damage(f"{name}: its output differs from before; what depends on it is run again")
            for stage in self._stages.values():
                if self._depends(stage, name):
                    self._forget(stage.name)

    def _forget(self, name: str) -> None:
        self._finished.pop(name, None)
        self._reports.pop(name, None)

    def _depends(self, stage: Stage[Any], on: str) -> bool:
        return any(needed.name == on or self._depends(self._stages[needed.name], on) for needed in stage.needs)

    def _summary(self, addresses: Mapping[str, str]) -> RunReport:
        reports = [self.run_stage(name) for name in self.stage_names]
        seconds = time.perf_counter() - self._started
        return summarise(self.context, Inputs(finished=self._finished), reports, seconds=seconds, addresses=addresses)
