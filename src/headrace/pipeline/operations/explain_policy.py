"""What a policy would have done for each recorded window, and why: the same decisions, on the evidence of the outbox.

Champions are those that were. A retrain that would have been decided and was not is taken to have been promoted; one
that was done has its own outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Decision, Outcome, PastDecision, Window
from headrace.monitor.policy.policy import decide
from headrace.pipeline.context import Context
from headrace.schema import Policy


@dataclass(frozen=True, kw_only=True)
class ExplainedWindow:
    """A recorded window under a policy.

    Attributes:
        recorded: What was decided.
        outcome: Of the retrain that was done.
        decision: What the policy decides now.
    """

    recorded: Decision
    outcome: Outcome | None
    decision: Decision


def explain_policy(context: Context, policy: Policy | None = None) -> tuple[ExplainedWindow, ...]:
    """Decide every recorded window again.

    Args:
        context: of the problem.
        policy: the rules; the problem's where None.

    Returns:
        The windows, oldest first; requests of people and escalations are left out.
    """
    rules = policy or context.problem.policy
    history: list[PastDecision] = []
    explained = []
    recorded = sorted(Outbox(context.root, context.problem.name).history(), key=lambda entry: entry.decision.end_us)
    for entry in recorded:
        if entry.decision.start_us == entry.decision.end_us or entry.decision.topics == ("escalation",):
            continue
        decision = decide(window_of(entry.decision), history, rules)
        outcome = (entry.outcome or "promoted") if decision.kind == "retrain" else None
        history.append(PastDecision(decision=decision, outcome=outcome))
        explained.append(ExplainedWindow(recorded=entry.decision, outcome=entry.outcome, decision=decision))
    return tuple(explained)


def window_of(decision: Decision) -> Window:
    """Return the summary of evidence that a decision was made of."""
    return Window(
        problem=decision.problem,
        start_us=decision.start_us,
        end_us=decision.end_us,
        champion=decision.champion,
        measured=decision.measured,
        findings=decision.drifted,
        judged=decision.judged,
        costs=decision.costs,
        rows=decision.rows,
        mature=decision.mature,
        censored=decision.censored,
        worth=decision.worth,
        predecessor=decision.predecessor,
        predecessor_worth=decision.predecessor_worth,
        age_us=decision.age_us,
        new_rows=decision.new_rows,
    )
