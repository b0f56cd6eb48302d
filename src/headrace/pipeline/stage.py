"""A stage as data, and the one function that runs it.

Every stage has a key: the fingerprint of its name, the code that can run in it, the problem without its options, its
parameters (of the options those that it reads), and the digests of the stages that it needs. Its outputs lie in
`stages/<problem>/<stage>/<key>/`, committed by one rename, so a killed run leaves nothing half-written and the next run
continues after the last whole stage. manifest.json names the sha256 of every file: a file is compared with it whenever
a later stage reads it (`FinishedStage.path`), and what has been damaged since is made again (docs/adr/0018).

A pure stage is cached when that folder is there and its record is whole. A stage with effects also looks at the outside
world (`effects_exist`): a deleted model version or an emptied online store is found and mended, whatever the folder
says.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from headrace.core.errors import CorruptError, HeadraceError, NotFoundError
from headrace.core.files import read_json, staged_folder, write_json
from headrace.core.fingerprint import fingerprint
from headrace.core.manifest import Manifest, read_manifest, write_manifest
from headrace.core.memory import memory_limit
from headrace.core.source_code import SourceTree, installed_source
from headrace.pipeline.context import Context
from headrace.pipeline.fence import require_token
from headrace.schema import Problem

Output = TypeVar("Output")

#: What of a problem only some stages read. They name it in their parameters: another margin trains nothing anew.
OPTIONS = (
    "costs", "ensemble", "families", "feed", "gate_share", "margin", "max_features", "monitoring", "policy", "racing",
    "retrain_trials", "searcher", "search_seconds", "trial_memory_mb", "trial_seconds", "trials", "tune_share",
)  # fmt: skip

#: Modules that every stage imports and that change no output: they find outputs, report progress, or word an error,
#: which ends a stage without an output. What a stage reads of its context, and the code of extensions, stand in its
#: parameters.
NO_VALUES = (
    "headrace.core.errors",
    "headrace.pipeline.context",
    "headrace.pipeline.extensions",
    "headrace.pipeline.fence",
    "headrace.pipeline.progress",
    "headrace.pipeline.stage",
    "headrace.search.study.progress",
)

_RECORD = "stage.json"


class DamagedStage(CorruptError):
    """A file of a finished stage is not what the stage wrote. facts["stage"] is its name."""


@dataclass(frozen=True, kw_only=True)
class FinishedStage(Generic[Output]):
    """A finished stage: its output, the folder that holds its files, their sha256 sums by name, and its digest."""

    name: str
    output: Output
    folder: Path
    digest: str
    sums: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """The path of a file, or of a folder with all below, compared with its sums.

        Raises:
            DamagedStage: a file is not as the stage wrote it.
        """
        try:
            return Manifest(folder=self.folder, sums=self.sums).path(name)
        except CorruptError as error:
            fix = "run again: what is damaged is made again"
            raise DamagedStage(error.what, where=error.where, fix=fix, stage=self.name) from None


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a stage reads: `inputs[SELECT]` is the finished stage of that name, with the type of its output.

    Attributes:
        finished: the stages that it needs, by name.
        journal: a file of its own that survives a killed run, for a stage that can resume in its middle. Runs that
            differ in their budget alone have the same one.
    """

    finished: Mapping[str, FinishedStage[Any]] = field(default_factory=dict)
    journal: Path = Path()

    def __getitem__(self, stage: Stage[Output]) -> FinishedStage[Output]:
        return self.finished[stage.name]


@dataclass(frozen=True, kw_only=True)
class Stage(Generic[Output]):
    """One step of the pipeline.

    Attributes:
        name: its name, which is unique in a run.
        output: the frozen dataclass that `run` returns. Its fields are numbers, texts, tuples, mappings or dataclasses.
        run: writes files into an empty folder and returns the output.
        needs: the stages that run before it and that it reads.
        code: modules that run in it and that it does not import: those of objects in the context.
        parameters: all that the output depends on besides code, needs and the problem without its OPTIONS.
        budget: parameters that say how far the stage goes, and change nothing of what it does until there.
        effects_exist: whether the effects of an output are still there. None for a pure stage.
    """

    name: str
    output: type[Output]
    run: Callable[[Context, Inputs, Path], Output]
    needs: tuple[Stage[Any], ...] = ()
    code: tuple[str, ...] = ()
    parameters: Callable[[Context], Mapping[str, Any]] = field(default=lambda context: {})
    budget: Callable[[Context], Mapping[str, Any]] = field(default=lambda context: {})
    effects_exist: Callable[[Context, Output], bool] | None = None

    @cached_property
    def codec(self) -> TypeAdapter[Output]:
        """Between the output and its JSON."""
        return TypeAdapter(self.output)


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What became of a stage in a run. damage: what of it was found damaged, so that it was made again."""

    name: str
    seconds: float
    cached: bool
    damage: str = ""

    @property
    def state(self) -> str:
        """Cached or run, for people."""
        return "cached" if self.cached else "made again" if self.damage else "run"


def stage_key(stage: Stage[Any], context: Context, finished: Mapping[str, FinishedStage[Any]]) -> str:
    """The content address of a stage's outputs, from the finished stages that it needs."""
    return _with_budget(stage, context, _key_without_budget(stage, context, finished))


def _key_without_budget(stage: Stage[Any], context: Context, finished: Mapping[str, FinishedStage[Any]]) -> str:
    return fingerprint(
        {
            "stage": stage.name,
            "code": code_of(stage, running_code(context)),
            "problem": _declaration(context.problem),
            "sources": [table.source for table in context.problem.entity_set.tables] if not stage.needs else [],
            "parameters": stage.parameters(context),
            "needs": {name: one.digest for name, one in finished.items()},
        }
    )[:32]


def _with_budget(stage: Stage[Any], context: Context, key: str) -> str:
    budget = stage.budget(context)
    return fingerprint({"key": key, "budget": budget})[:32] if budget else key


def code_of(stage: Stage[Any], source: SourceTree) -> str:
    """The digest of the code that can run in a stage. What it needs has a key of its own, which holds its own code."""
    needed = [one.run.__module__ for one in stage.needs]
    return source.digest((stage.run.__module__, *stage.code), excluded=(*NO_VALUES, *needed))


def running_code(context: Context) -> SourceTree:
    """The code of this process. What was parsed of it is kept with the outputs of stages."""
    return installed_source(context.root / "stages" / ".code.json")


def _declaration(problem: Problem) -> dict[str, Any]:
    """What of a problem every stage depends on."""
    return {f.name: getattr(problem, f.name) for f in fields(problem) if f.compare and f.name not in OPTIONS}


def load(stage: Stage[Output], folder: Path) -> FinishedStage[Output] | None:
    """A finished stage read back from its folder, or None where it is not finished.

    Raises:
        CorruptError: its record is damaged.
    """
    if not folder.exists():
        return None
    try:
        manifest = read_manifest(folder)
    except NotFoundError as error:
        raise CorruptError("is gone", where=error.where) from None
    record = read_json(manifest.path(_RECORD))
    if record["digest"] != _digest(record["output"], folder.name):
        raise CorruptError("is the record of another stage", where=str(folder / _RECORD))
    try:
        output = stage.codec.validate_python(record["output"])
    except ValidationError as error:
        raise CorruptError(f"is no output of this stage ({error})", where=str(folder / _RECORD)) from None
    return FinishedStage(name=stage.name, output=output, folder=folder, digest=record["digest"], sums=manifest.sums)


def _digest(output: Any, key: str) -> str:
    return fingerprint({"output": output, "key": key})


def run(
    stage: Stage[Output],
    context: Context,
    finished: Mapping[str, FinishedStage[Any]],
    *,
    thoroughly: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[FinishedStage[Output], StageReport]:
    """Run a stage, or find it finished. Two runs at once do the work once: the second waits, then finds it.

    A damaged stage is made again.

    Args:
        stage: what to run.
        context: of this run.
        finished: the stages that it needs, by name.
        thoroughly: compare all its files with their sums, not its record alone.
        clock: seconds.

    Returns:
        The finished stage, and how it came about.

    Raises:
        DamagedStage: a stage that it needs is damaged.
        ConflictError: another run has replaced this one; its outputs are left as they are.
    """
    started = clock()
    study_key = _key_without_budget(stage, context, finished)
    folder = context.stages_folder / stage.name / _with_budget(stage, context, study_key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    inputs = Inputs(finished=finished, journal=folder.parent / f"{study_key}.journal.jsonl")
    with FileLock(folder.parent / f".{study_key}.lock"):
        require_token(context)
        done, damage = _find(stage, folder, thoroughly=thoroughly)
        if damage:
            context.progress.damage(f"{stage.name}: {damage.rstrip('.')}; it is made again")
        cached = done is not None and (stage.effects_exist is None or stage.effects_exist(context, done.output))
        if not cached:
            done = _make(stage, context, inputs, folder)
    assert done is not None
    return done, StageReport(name=stage.name, seconds=clock() - started, cached=cached, damage=damage)


def _find(stage: Stage[Output], folder: Path, *, thoroughly: bool) -> tuple[FinishedStage[Output] | None, str]:
    """The stage where it is finished and whole, and what of it is damaged."""
    try:
        done = load(stage, folder)
        if done is not None and thoroughly:
            Manifest(folder=folder, sums=done.sums).check()
    except CorruptError as error:
        return None, str(error)
    return done, ""


def _make(stage: Stage[Output], context: Context, inputs: Inputs, folder: Path) -> FinishedStage[Output]:
    """Run it into a new folder, in place of what lies there."""
    for leftover in (folder, *folder.parent.glob(f".{folder.name}.*.tmp")):  # damaged, or a killed run's
        shutil.rmtree(leftover, ignore_errors=True)
    with memory_limit(context.max_memory), staged_folder(folder) as staging:
        output = stage.codec.dump_python(stage.run(context, inputs, staging), mode="json")
        write_json(staging / _RECORD, {"output": output, "digest": _digest(output, folder.name)})
        write_manifest(staging)
        require_token(context)
    done = load(stage, folder)
    if done is None:
        raise HeadraceError("is gone at once after it was written", where=str(folder), fix="look at the disk")
    return done
