"""Retraining: a decision claimed in the outbox, the main job's stages on the history until then, and its outcome.

The history ends where the decision's window does, so a retrain that was killed finds its finished stages on the next
try and ends as it would have. Where the worth of a refresh decided, nothing is trained: the shadow that has won in
production is registered and promoted. The online store is filled before the promotion: the champion's features are
there when the API follows it. The champion's features and family stay, unless a person asks for both anew. Only one
holder works on a decision, and its outcome is written once, together with its alert.
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
from headrace.pipeline.catalogue import RETRAIN_STAGES, UNGATED_RETRAIN_STAGES, shadow_promotion_stages
from headrace.pipeline.context import Context
from headrace.pipeline.fence import fenced
from headrace.pipeline.operations.release import roll_back
from headrace.pipeline.report import Artifact, artifact_key
from headrace.pipeline.stages.promote import PROMOTE
from headrace.pipeline.stages.promote_shadow import promote_shadow
from headrace.pipeline.walker import Execute, PipelineRun, execute_here
from headrace.registry.ledger import Ledger
from headrace.schema import Policy


@dataclass(frozen=True, kw_only=True)
class RetrainReport:
    """The outcome of a retrain.

    Attributes:
        decision: that asked for it.
        outcome: "not ours" where another process works on it, or where it was finished before.
        reason: why, for people.
        version: the model version that was registered.
        escalated: whether people were alerted, because retraining does not help.
    """

    decision: Decision
    outcome: Outcome | Literal["not ours"]
    reason: str
    version: str | None = None
    escalated: bool = False

    def artifacts(self) -> tuple[Artifact, ...]:
        """What a flow publishes."""
        version = f" (version {self.version})" if self.version else ""
        lines = (f"## {self.decision.problem}: {self.outcome}{version}", self.reason, f"Why: {self.decision.reason}")
        key = artifact_key(self.decision.problem, "retrain")
        return (Artifact(key=key, kind="markdown", data="\n\n".join(lines), description=self.reason),)


@dataclass(frozen=True, kw_only=True)
class _Result:
    """The outcome of the stages."""

    outcome: Outcome
    reason: str
    version: str | None = None


def request_retrain(context: Context, reason: str, *, now_us: int, reselect: bool = False) -> Decision:
    """Put a retrain that a person wants into the outbox. Requested again at the same production clock, it is the same.

    Args:
        context: of the problem.
        reason: for people.
        now_us: wall clock.
        reselect: choose features and family anew.

    Raises:
        NotFoundError: nothing was loaded yet.
    """
    name = context.problem.name
    clock = Lake(context.root, name).clock()
    if clock is None:
        raise NotFoundError("nothing was loaded yet", where=name, fix="run `headrace run` first")
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
    execute: Execute = execute_here,
) -> RetrainReport:
    """Do an open retrain of the outbox. Ten calls at once do it once.

    A run whose lease ended and whose retrain another run has claimed cannot write any more: its next step raises
    ConflictError.

    Data that cannot be trained on end it as failed. Any other error gives the claim back, to be tried again, and is
    raised.

    Args:
        context: of the problem.
        decision_id: of the decision that asks for it.
        holder: who does it; the same when it is tried again.
        now_us: the wall clock, which is read again while it lasts, for the lease.
        execute: runs each stage; a flow makes a task of it.
    """
    outbox = Outbox(context.root, context.problem.name)
    claim = outbox.claim(decision_id, holder, now_us=now_us())
    if claim is None:
        return _not_ours(outbox.get(decision_id), now_us())
    try:
        own = fenced(context, f"retrain {decision_id}", holder, claim.token)
        with renewed(outbox, claim, now_us):
            result = _train(own, claim.decision, execute)
        return _finish(outbox, claim, result, context.problem.policy, now_us())
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


def _train(context: Context, decision: Decision, execute: Execute) -> _Result:
    if other := _newer_champion(context, decision):
        return _Result(outcome="superseded", reason=f"version {other} became champion after this was decided")
    if decision.rollback_to is not None:
        return _roll_back(context, decision)
    run = _stages(context, decision)
    try:
        run.walk(execute)
    except (DataError, DeclarationError) as error:
        return _Result(outcome="failed", reason=str(error))
    verdict = run.output(PROMOTE)
    version, reason = verdict.version, verdict.reason
    if version == decision.champion:
        same = "the history until then makes the very model that is champion"
        return _Result(outcome="refused", reason=same, version=version)
    refused: Outcome = "refused" if verdict.comparable else "not comparable"
    if verdict.in_rollout:
        return _Result(outcome="in rollout", reason=reason, version=version)
    return _Result(outcome="promoted" if verdict.promoted else refused, reason=reason, version=version)


def _roll_back(context: Context, decision: Decision) -> _Result:
    """Bring the predecessor back; after a kill behind that, it is champion already."""
    record = Ledger(context.root, context.problem.name).champion()
    version = decision.rollback_to
    if record is None or record.version != version:
        roll_back(context, decision.reason, expected=version)
    return _Result(outcome="promoted", reason=decision.reason, version=version)


def _stages(context: Context, decision: Decision) -> PipelineRun:
    """The stages of a decision: those of the shadow that has won, or of a new training.

    They keep the recipe of the decision's champion, not today's: after a kill behind the promotion they are cached.
    """
    if decision.shadow_us is not None and decision.worth is not None and decision.champion is not None:
        promotion = promote_shadow(decision.worth, champion=decision.champion, at_us=decision.end_us)
        shadow = replace(context, until_us=decision.shadow_us, recipe_of=decision.champion)
        return PipelineRun(shadow, shadow_promotion_stages(promotion))
    recipe_of = None if decision.reselect else decision.champion
    gated = context.problem.policy.gate or recipe_of is None
    stages = RETRAIN_STAGES if gated else UNGATED_RETRAIN_STAGES
    return PipelineRun(replace(context, until_us=decision.end_us, recipe_of=recipe_of), stages)


def _newer_champion(context: Context, decision: Decision) -> str | None:
    """A champion since the decision, other than the one that an earlier try of this retrain has promoted."""
    record = Ledger(context.root, context.problem.name).champion()
    own = (decision.champion, decision.rollback_to)
    later = record is not None and record.version not in own and record.at_us != decision.end_us
    return record.version if later and record is not None else None


def _finish(outbox: Outbox, claim: Claim, result: _Result, policy: Policy, now_us: int) -> RetrainReport:
    """Write the outcome, its alert and, after one refusal too many, the escalation, in one step."""
    decision = claim.decision
    known = {entry.decision.id for entry in outbox.history()}
    conclude(
        outbox,
        claim,
        result.outcome,
        result.reason,
        now_us=now_us,
        at_us=decision.end_us,
        version=result.version,
        policy=policy,
    )
    further = [entry.decision for entry in outbox.history() if entry.decision.id not in known]
    return RetrainReport(
        decision=decision,
        outcome=result.outcome,
        reason=result.reason,
        version=result.version,
        escalated=any(one.escalated for one in further),
    )
