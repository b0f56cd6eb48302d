"""Refit the champion's recipe as a shadow when one is due on the production clock. Killed at any point, it goes on.

Its stages are cached one by one under what defines them, so a repeat does what is left. A shadow is recorded after its
last stage; until then nobody sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace.core.clock import floor_to_tick, from_us
from headrace.core.errors import CorruptError, DataError, NotFoundError
from headrace.lake.store import Lake
from headrace.pipeline.catalogue import SHADOW_STAGES
from headrace.pipeline.context import Context
from headrace.pipeline.operations.shadow_retirement import retire_shadows
from headrace.pipeline.production.champion import version_bundle
from headrace.pipeline.production.shadows import Shadow, read_shadows, readable, write_shadow
from headrace.pipeline.report import Artifact, artifact_key
from headrace.pipeline.stages.refit import BUNDLE, REFIT
from headrace.pipeline.stages.shadow import SHADOW_EVALUATE, SHADOW_SPINE
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.walker import Execute, PipelineRun, execute_here
from headrace.registry.ledger import Ledger

#: Stages whose outputs only a refit at one instant has; the others are small, or those of all refits of a champion.
_OWN_STAGES = (SHADOW_SPINE, TRAINING_SET, SHADOW_EVALUATE, REFIT)


@dataclass(frozen=True, kw_only=True)
class ShadowReport:
    """What became of a refit.

    Attributes:
        problem: its name.
        shadow: the newest one; None where there is none.
        new: whether it was fitted just now.
        reason: why, for people.
    """

    problem: str
    shadow: Shadow | None
    new: bool
    reason: str

    def artifacts(self) -> tuple[Artifact, ...]:
        """What a flow publishes: nothing where nothing was due."""
        if not self.new:
            return ()
        text = f"## {self.problem}: a new shadow\n\n{self.reason}"
        key = artifact_key(self.problem, "shadow")
        return (Artifact(key=key, kind="markdown", data=text, description=self.reason),)


def refit_shadow(context: Context, *, execute: Execute = execute_here) -> ShadowReport:
    """Fit the shadow of the last instant at which one is due, unless it is there, and delete what nothing needs.

    An instant that was missed is not made up for: the rows since then are compared with the shadow before it.

    Args:
        context: of the problem.
        execute: runs each stage; a flow makes a task of it.
    """
    report = _refit(context, execute)
    retire_shadows(context)
    return report


def _refit(context: Context, execute: Execute) -> ShadowReport:
    problem, rules = context.problem, context.problem.policy.worth
    record, clock = Ledger(context.root, problem.name).champion(), Lake(context.root, problem.name).clock()
    if rules is None:
        return _none(context, "the policy does not measure the worth of a refresh")
    if record is None or clock is None:
        return _none(context, "there is no champion yet")
    due_us = floor_to_tick(clock, rules.every_us)
    try:
        trained_us = int(version_bundle(context, record.version).windows["trained_until_us"])
    except (NotFoundError, CorruptError) as error:
        return _none(context, f"the champion's recipe cannot be read: {error}")
    if due_us <= trained_us:
        return _none(context, f"version {record.version} was trained until {_day(trained_us)}: none is due yet")
    present = [one for one in read_shadows(context, record.version) if one.fitted_us == due_us]
    if present and readable(context, present)[0]:
        return ShadowReport(problem=problem.name, shadow=present[0], new=False, reason="the shadow is there already")
    try:
        shadow = _fit(context, record.version, due_us, execute)
    except DataError as error:
        return _none(context, f"the shadow of {_day(due_us)} cannot be fitted: {error}")
    reason = f"the recipe of version {record.version}, fitted on {shadow.rows:,} rows known by {_day(due_us)}"
    return ShadowReport(problem=problem.name, shadow=shadow, new=True, reason=reason)


def _fit(context: Context, version: str, due_us: int, execute: Execute) -> Shadow:
    run = PipelineRun(replace(context, until_us=due_us, recipe_of=version), SHADOW_STAGES)
    run.walk(execute)
    folder = run.path(REFIT, BUNDLE)
    output = run.output(REFIT)
    shadow = Shadow(
        version=version,
        fitted_us=due_us,
        rows=output.rows,
        folder=str(folder.relative_to(context.root)),
        digest=output.bundle,
        outputs=tuple(str(run.folder(stage).relative_to(context.root)) for stage in _OWN_STAGES),
    )
    write_shadow(context, shadow)
    return shadow


def _none(context: Context, reason: str) -> ShadowReport:
    return ShadowReport(problem=context.problem.name, shadow=None, new=False, reason=reason)


def _day(instant_us: int) -> str:
    return f"{from_us(instant_us):%Y-%m-%d}"
