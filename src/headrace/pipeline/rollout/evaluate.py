"""Evaluate the rollout of a problem: compare on matured labels, decide, and take the step that was decided.

What is decided is a value (`rollout.decision`); a dry run prints the value that this carries out. A step is one row of
the ledger, and a promotion is one transaction of it, so a process that is killed anywhere leaves a state from which the
next evaluation goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headrace.core.clock import iso
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.production.rollouts import load_refusal, rollout_rules
from headrace.pipeline.report import Artifact, artifact_key
from headrace.pipeline.rollout.comparison import RolloutComparison, compare_pairs
from headrace.pipeline.rollout.decision import RolloutDecision, decide, place
from headrace.pipeline.rollout.pairs import read_pairs
from headrace.pipeline.rollout.reconcile import Reconciliation, reconcile_rollouts
from headrace.registry.ledger import Ledger
from headrace.registry.rollout_tables import RolloutStep
from headrace.registry.rollouts import Rollouts


@dataclass(frozen=True, kw_only=True)
class RolloutReport:
    """The state of a problem's rollout.

    Attributes:
        problem: its name.
        champion: the present champion; None where there is none.
        step: the last step of the rollout under way, or of the last one that ended; None where there was none.
        steps: all steps of that rollout.
        comparison: losses on matured labels; None where none is under way.
        decision: what is to be done; None where none is under way.
        acted: whether it was done.
        reconciled: what was missing outside the ledger.
    """

    problem: str
    champion: str | None
    step: RolloutStep | None = None
    steps: tuple[RolloutStep, ...] = ()
    comparison: RolloutComparison | None = None
    decision: RolloutDecision | None = None
    acted: bool = False
    reconciled: Reconciliation = field(default_factory=Reconciliation)

    @property
    def reason(self) -> str:
        """The state in words."""
        if self.step is None:
            return "no rollout"
        if self.decision is None or self.acted:
            return f"version {self.step.version}: {place(self.step)}: {self.step.reason}"
        return f"version {self.step.version}: {place(self.step)}; {self.decision.action}: {self.decision.reason}"

    def rows(self) -> list[dict[str, Any]]:
        """Return the steps as a table for people."""
        return [
            {"at": iso(one.at_us), "phase": one.phase, "share": f"{one.share:.0%}", "reason": one.reason}
            for one in self.steps
        ]

    def artifacts(self) -> tuple[Artifact, ...]:
        """What a flow publishes: nothing where there was no rollout."""
        if self.step is None:
            return ()
        key = artifact_key(self.problem, "rollout")
        return (Artifact(key=key, kind="table", data=self.rows(), description=self.reason),)


def rollout_state(context: Context) -> RolloutReport:
    """Compare and decide, without acting: the dry run of `evaluate_rollout`."""
    ledger = Ledger(context.root, context.problem.name)
    rollouts, champion = Rollouts(ledger), ledger.champion()
    version = champion.version if champion else None
    step = rollouts.current()
    if step is None:
        history = rollouts.history()
        last = history[-1] if history else None
        steps = rollouts.steps(last.id) if last else ()
        return RolloutReport(problem=context.problem.name, champion=version, step=last, steps=steps)
    steps, rules = rollouts.steps(step.id), rollout_rules(context.problem)
    now_us = Lake(context.root, context.problem.name).clock() or 0
    began_us = next(one.at_us for one in steps if one.open)
    pairs = read_pairs(context, step, began_us, now_us)
    comparison = compare_pairs(pairs, context.problem.metric, rules, now_us=now_us)
    return RolloutReport(
        problem=context.problem.name,
        champion=version,
        step=step,
        steps=steps,
        comparison=comparison,
        decision=decide(step, comparison, rules, began_us=began_us, now_us=now_us),
    )


def evaluate_rollout(context: Context, *, now_us: int) -> RolloutReport:
    """Reconcile, compare, decide and act.

    Args:
        context: of the problem.
        now_us: wall clock, for the outbox.

    Raises:
        ConflictError: another process took a step meanwhile; the next evaluation goes on from it.
    """
    reconcile_rollouts(context, now_us=now_us)
    report = rollout_state(context)
    if report.step is None or report.decision is None or report.decision.action == "go on":
        return report
    carry_out(context, report.step, report.decision, report.comparison)
    reconciled = reconcile_rollouts(context, now_us=now_us)
    rollouts = Rollouts(Ledger(context.root, context.problem.name))
    steps = rollouts.steps(report.step.id)
    champion = Ledger(context.root, context.problem.name).champion()
    return RolloutReport(
        problem=report.problem,
        champion=champion.version if champion else None,
        step=steps[-1],
        steps=steps,
        comparison=report.comparison,
        decision=report.decision,
        acted=True,
        reconciled=reconciled,
    )


def carry_out(
    context: Context, step: RolloutStep, decision: RolloutDecision, comparison: RolloutComparison | None = None
) -> None:
    """Take a decided step: one row of the ledger, or the promotion.

    A version is loaded and queried once more before it becomes champion.

    Raises:
        ConflictError: another process took a step since `step` was read.
    """
    rollouts, at_us = Rollouts(Ledger(context.root, context.problem.name)), _clock(context)
    facts = comparison.to_json() if comparison is not None else {}
    if decision.action == "promote":
        if refusal := load_refusal(context, step.version):
            rollouts.advance(step, "rolled back", reason=refusal, at_us=at_us, facts=facts)
            return
        ledger = Ledger(context.root, context.problem.name)
        ledger.promote(step.version, step.champion, decision.reason, {}, at_us, step=step)
    elif decision.action == "advance":
        rollouts.advance(step, "canary", reason=decision.reason, at_us=at_us, share=decision.share, facts=facts)
    elif decision.action == "roll back":
        # more labels would not change this verdict, so only a person brings the version back
        rollouts.advance(step, "rolled back", reason=decision.reason, at_us=at_us, facts=facts, bar=True)
    elif decision.action == "end":
        rollouts.advance(step, "undecided", reason=decision.reason, at_us=at_us, facts=facts)


def _clock(context: Context) -> int:
    return Lake(context.root, context.problem.name).clock() or 0
