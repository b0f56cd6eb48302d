"""Retraining: a decision claimed in the outbox, the main job's stages on the history until then, and its outcome.

The history ends where the decision's window does, so a retrain that was killed finds its finished stages on the next
try and ends as it would have. The online store is filled before the promotion: the champion's features are there when
the API follows it. The champion's features and family stay, unless a person asks for both anew. Only one holder works
on a decision, and its outcome is written once, with what people are told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from headrace.core.clock import floor_to_tick
from headrace.core.errors import DataError, DeclarationError, NotFoundError
from headrace.lake.store import Lake
from headrace.monitor.outbox.announce import announce, conclude
from headrace.monitor.outbox.lease import renewed
from headrace.monitor.outbox.outbox import Claim, Entry, Outbox
from headrace.monitor.policy.decision import Decision, Outcome
from headrace.monitor.policy.policy import manual_retrain
from headrace.pipeline.catalogue import RETRAIN_STAGES
from headrace.pipeline.context import Context
from headrace.pipeline.report import Artifact
from headrace.pipeline.walker import PipelineRun
from headrace.registry.ledger import Ledger
from headrace.schema import Policy

Walk = Callable[[PipelineRun], None]


@dataclass(frozen=True, kw_only=True)
class RetrainReport:
    """What became of a retrain. outcome "not ours": another is at it, or it was finished before. escalated: people
    were asked for, because retraining does not help."""

    decision: Decision
    outcome: Outcome | Literal["not ours"]
    reason: str
    version: str | None = None
    escalated: bool = False

    def artifacts(self) -> tuple[Artifact, ...]:
        """What a flow publishes."""
        version = f" (version {self.version})" if self.version else ""
        lines = (f"## {self.decision.problem}: {self.outcome}{version}", self.reason, f"Why: {self.decision.reason}")
        key = f"{self.decision.problem.lower().replace('_', '-')}-retrain"
        return (Artifact(key=key, kind="markdown", data="\n\n".join(lines), description=self.reason),)


@dataclass(frozen=True, kw_only=True)
class _Ended:
    outcome: Outcome
    reason: str
    version: str | None = None


def walk_stages(run: PipelineRun) -> None:
    """Every stage in order, in this process."""
    for name in run.stage_names:
        run.run_stage(name)


def ask_by_hand(context: Context, reason: str, *, now_us: int, reselect: bool = False) -> Decision:
    """Put a retrain that a person wants into the outbox. now_us: wall clock. Asked again at the same clock, it is the
    same one. reselect: choose features and family anew. Raises NotFoundError before anything was loaded."""
    name = context.problem.name
    clock = Lake(context.root, name).clock()
    if clock is None:
        raise NotFoundError("nothing was loaded yet", where=name, fix="run `make run-pipeline` first")
    record = Ledger(context.root, name).champion()
    until = floor_to_tick(clock, context.problem.tick_us)
    decision = manual_retrain(name, record.version if record else None, until, reason, reselect=reselect)
    return announce(Outbox(context.root, name), decision, now_us=now_us).decision


def retrain(
    context: Context,
    decision_id: str,
    *,
    holder: str,
    now_us: Callable[[], int],
    walk: Walk = walk_stages,
) -> RetrainReport:
    """Do a retrain that the outbox owes; ten calls at once do it once. holder: who does it, the same when tried again.

    now_us: the wall clock, read again while it lasts, for the lease. walk: runs the stages (a flow makes tasks of
    them). Data that cannot be trained on end it as failed; any other error gives the claim back, to be tried again,
    and is raised.
    """
    outbox = Outbox(context.root, context.problem.name)
    claim = outbox.claim(decision_id, holder, now_us=now_us())
    if claim is None:
        return _not_ours(outbox.get(decision_id), now_us())
    try:
        with renewed(outbox, claim, now_us):
            ended = _train(context, claim.decision, walk)
        return _finish(outbox, claim, ended, context.problem.policy, now_us())
    except BaseException as error:
        outbox.release(claim, f"{type(error).__name__}: {error}", now_us=now_us())
        raise


def _not_ours(entry: Entry, now_us: int) -> RetrainReport:
    if entry.outcome is not None:
        reason = f"finished already: {entry.outcome}, {entry.outcome_reason}"
    elif entry.claimed(now_us):
        reason = f"{entry.holder} is at it"
    else:
        reason = f"a decision of kind {entry.decision.kind!r} asks for no retrain"
    return RetrainReport(decision=entry.decision, outcome="not ours", reason=reason, version=entry.version)


def _train(context: Context, decision: Decision, walk: Walk) -> _Ended:
    if other := _newer_champion(context, decision):
        return _Ended(outcome="superseded", reason=f"version {other} became champion after this was decided")
    # The decision's champion, not today's: after a kill behind the promotion the stages are found again.
    kept = None if decision.reselect else decision.champion
    run = PipelineRun(replace(context, until_us=decision.end_us, recipe_of=kept), RETRAIN_STAGES)
    try:
        walk(run)
    except (DataError, DeclarationError) as error:
        return _Ended(outcome="failed", reason=str(error))
    promoted = run.outputs("promote")
    version, reason = str(promoted["version"]), str(promoted["reason"])
    if version == decision.champion:
        same = "the history until then makes the very model that is champion"
        return _Ended(outcome="refused", reason=same, version=version)
    # A stage that was finished before "comparable" was written down knows only of comparisons.
    verdict: Outcome = "refused" if promoted.get("comparable", True) else "not comparable"
    return _Ended(outcome="promoted" if promoted["promoted"] else verdict, reason=reason, version=version)


def _newer_champion(context: Context, decision: Decision) -> str | None:
    """A champion of later than the decision; our own promotion, of a try that was killed after it, is not later."""
    record = Ledger(context.root, context.problem.name).champion()
    later = record is not None and record.version != decision.champion and record.at_us != decision.end_us
    return record.version if later and record is not None else None


def _finish(outbox: Outbox, claim: Claim, ended: _Ended, policy: Policy, now_us: int) -> RetrainReport:
    """The outcome, its message and, after one refusal too many, the escalation: in one step."""
    decision = claim.decision
    known = {entry.decision.id for entry in outbox.history()}
    conclude(
        outbox,
        claim,
        ended.outcome,
        ended.reason,
        now_us=now_us,
        at_us=decision.end_us,
        version=ended.version,
        policy=policy,
    )
    further = [entry.decision for entry in outbox.history() if entry.decision.id not in known]
    return RetrainReport(
        decision=decision,
        outcome=ended.outcome,
        reason=ended.reason,
        version=ended.version,
        escalated=any(one.escalated for one in further),
    )
