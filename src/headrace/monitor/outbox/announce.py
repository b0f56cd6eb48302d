"""Write decisions and outcomes to the outbox, each in one transaction with the alerts about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from headrace.monitor.outbox.message import decision_alert, outcome_alert
from headrace.monitor.outbox.outbox import Claim, Entry, Outbox
from headrace.monitor.policy.decision import Decision, Outcome, PastDecision
from headrace.monitor.policy.policy import escalation
from headrace.schema import Policy


def announce(outbox: Outbox, decision: Decision, *, now_us: int, links: Mapping[str, str] | None = None) -> Entry:
    """Write a decision with its links and its alert. Idempotent by the decision's id."""
    linked = replace(decision, links={**decision.links, **(links or {})})
    return outbox.add(linked, now_us=now_us, alert=decision_alert(linked))


def conclude(
    outbox: Outbox,
    claim: Claim,
    outcome: Outcome,
    reason: str,
    *,
    now_us: int,
    at_us: int,
    version: str | None = None,
    policy: Policy | None = None,
    links: Mapping[str, str] | None = None,
) -> Entry:
    """Finish a retrain: write its outcome, the alert about it, and an escalation where one is due.

    Args:
        outbox: The outbox.
        claim: The claim on the retrain.
        outcome: Its outcome.
        reason: Why.
        now_us: Wall clock, microseconds UTC.
        at_us: Production clock, microseconds UTC.
        version: Version that it registered.
        policy: The rules of escalation; the defaults where None.
        links: Name -> address, for people.

    Raises:
        ConflictError: Another holder has the claim.
    """
    decision = claim.decision
    earlier = [entry for entry in outbox.history() if entry.decision.id != decision.id]
    ended = PastDecision(decision=decision, outcome=outcome, outcome_reason=reason)
    follow_up = escalation(decision, [*earlier, ended], policy)
    message = outcome_alert(decision, outcome, reason, version=version, at_us=at_us, links=links)
    escalation_alert = decision_alert(follow_up, links) if follow_up else None
    return outbox.finish(
        claim,
        outcome,
        reason,
        now_us=now_us,
        version=version,
        alerts=(message,) if escalation_alert is None else (message, escalation_alert),
        follow_up=follow_up,
    )
