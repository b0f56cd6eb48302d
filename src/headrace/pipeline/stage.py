"""A stage as data, and the one function that runs it.

Every stage has a key: the fingerprint of its name, the source code it depends on, the problem without its options, its
parameters (of the options those that it reads), and the digests of the stages it needs. Its outputs live in
`stages/<problem>/<stage>/<key>/`, committed by one rename, so a killed run leaves nothing half-written and the next run
takes up after the last whole stage. manifest.json names the sha256 of every file: a file is compared with it whenever a
later stage reads it (`Done.path`), and what was damaged since is made again (docs/adr/0018).

A pure stage is cached when that folder is there and its record is whole. A stage with effects also asks the outside
world (`standing`): a deleted model version or an emptied online store is found and mended, whatever the folder says.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from headrace.core.errors import CorruptError, HeadraceError, NotFoundError
from headrace.core.files import read_json, staged_folder, write_json
from headrace.core.fingerprint import code_version, fingerprint
from headrace.core.manifest import Manifest, read_manifest, write_manifest
from headrace.pipeline.context import Context
from headrace.schema import Problem

#: What of a problem only some stages read. They name it in their parameters: another margin trains nothing anew.
OPTIONS = (
    "families", "feed", "gate_share", "margin", "max_features", "monitoring", "policy", "racing", "searcher",
    "search_seconds", "trial_memory_mb", "trial_seconds", "trials", "tune_share",
)  # fmt: skip


_RECORD = "stage.json"


class DamagedStage(CorruptError):
    """A file of a finished stage is not what the stage wrote. facts["stage"] is its name."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A finished stage: its facts (JSON-able), the folder that holds its files, their sums, and its digest."""

    name: str
    facts: Mapping[str, Any]
    folder: Path
    digest: str
    sums: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """A file of it, or a folder with all below, as the stage wrote it. Raises DamagedStage where it is not."""
        try:
            return Manifest(folder=self.folder, sums=self.sums).path(name)
        except CorruptError as error:
            fix = "run again: what is damaged is made again"
            raise DamagedStage(error.what, where=error.where, fix=fix, stage=self.name) from None


Needs = Mapping[str, Done]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the pipeline.

    run(context, needs, folder) writes files into an empty folder and returns facts. parameters(context) is all that
    the result depends on besides code, needs and the problem without its OPTIONS. standing(context, facts) tells
    whether the effects are still there; None for a pure stage.
    """

    name: str
    run: Callable[[Context, Needs, Path], Mapping[str, Any]]
    needs: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    parameters: Callable[[Context], Mapping[str, Any]] = field(default=lambda context: {})
    standing: Callable[[Context, Mapping[str, Any]], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What running a stage came to. damage: what was found damaged of it, so that it was made again."""

    name: str
    seconds: float
    cached: bool
    outputs: Mapping[str, Any]
    damage: str = ""

    @property
    def state(self) -> str:
        """Cached or run, for people."""
        return "cached" if self.cached else "made again" if self.damage else "run"


def stage_key(stage: Stage, context: Context, needs: Needs) -> str:
    """The content address of a stage's outputs."""
    return fingerprint(
        {
            "stage": stage.name,
            "code": code_version((stage.run.__module__, *stage.code)),
            "problem": _asked(context.problem),
            "sources": [table.source for table in context.problem.entity_set.tables] if not stage.needs else [],
            "parameters": stage.parameters(context),
            "needs": {name: done.digest for name, done in needs.items()},
        }
    )[:32]


def _asked(problem: Problem) -> dict[str, Any]:
    """What every stage depends on."""
    return {f.name: getattr(problem, f.name) for f in fields(problem) if f.compare and f.name not in OPTIONS}


def load(folder: Path, name: str) -> Done | None:
    """A finished stage read back, or None where it is not finished. Raises CorruptError where its record is damaged."""
    if not folder.exists():
        return None
    try:
        manifest = read_manifest(folder)
    except NotFoundError as error:
        raise CorruptError("is gone", where=error.where) from None
    record = read_json(manifest.path(_RECORD))
    if record["digest"] != _digest(record["facts"], folder.name):
        raise CorruptError("is the record of another stage", where=str(folder / _RECORD))
    return Done(name=name, facts=record["facts"], folder=folder, digest=record["digest"], sums=manifest.sums)


def _digest(facts: Mapping[str, Any], key: str) -> str:
    return fingerprint({"facts": facts, "key": key})


def run(
    stage: Stage,
    context: Context,
    needs: Needs,
    *,
    thoroughly: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Done, StageReport]:
    """Run a stage, or find it done. Two runs at once do the work once: the second waits, then finds it.

    A damaged one is made again. thoroughly: compare all its files, not its record alone. Raises DamagedStage where a
    stage that it needs is damaged.
    """
    started = clock()
    key = stage_key(stage, context, needs)
    folder = context.stages_folder / stage.name / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{key}.lock"):
        done, damage = _found(folder, stage.name, thoroughly=thoroughly)
        if damage:
            context.on_damage(f"{stage.name}: {damage.rstrip('.')}; it is made again")
        cached = done is not None and (stage.standing is None or stage.standing(context, done.facts))
        if not cached:
            done = _make(stage, context, needs, folder)
    assert done is not None
    report = StageReport(name=stage.name, seconds=clock() - started, cached=cached, outputs=done.facts, damage=damage)
    return done, report


def _found(folder: Path, name: str, *, thoroughly: bool) -> tuple[Done | None, str]:
    """The stage where it is finished and whole, and what is damaged of it."""
    try:
        done = load(folder, name)
        if done is not None and thoroughly:
            Manifest(folder=folder, sums=done.sums).check()
    except CorruptError as error:
        return None, str(error)
    return done, ""


def _make(stage: Stage, context: Context, needs: Needs, folder: Path) -> Done:
    """Run it into a new folder, in place of what lies there."""
    for leftover in (folder, *folder.parent.glob(f".{folder.name}.*.tmp")):  # damaged, or a killed run's
        shutil.rmtree(leftover, ignore_errors=True)
    with staged_folder(folder) as staging:
        facts = dict(stage.run(context, needs, staging))
        write_json(staging / _RECORD, {"facts": facts, "digest": _digest(facts, folder.name)})
        write_manifest(staging)
    done = load(folder, stage.name)
    if done is None:
        raise HeadraceError("is gone at once after it was written", where=str(folder), fix="look at the disk")
    return done


def journal_path(folder: Path) -> Path:
    """Where a stage that can resume in its middle keeps its journal: beside its folder, so it survives a kill."""
    return folder.parent / f"{_key_of(folder)}.journal.jsonl"


def _key_of(staging: Path) -> str:
    # staged folders are called .<key>.<random>.tmp
    return staging.name.strip(".").split(".")[0]
