"""What a window's evidence implies under the policy's triggers, before any constraint. Pure functions, for `decide`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.core.clock import format_duration
from headrace.monitor.policy.causes import broken_causes, join_names
from headrace.monitor.policy.decision import PastDecision, Window
from headrace.monitor.worth.wording import describe
from headrace.schema import Policy


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What the evidence alone implies. topics: its subjects, so that none is reported twice."""

    retrain: bool
    reasons: tuple[str, ...]
    topics: tuple[str, ...]
    confirmed: tuple[str, ...]


def confirmed(window: Window, past: Sequence[PastDecision], policy: Policy) -> tuple[str, ...]:
    """Return the topics (`feature:dep_delay`) of this window that occur in k of the champion's last n windows."""
    earlier = [
        past_decision.decision
        for past_decision in past
        if past_decision.decision.champion == window.champion and past_decision.decision.measured
    ]
    last_findings = [decision.drifted for decision in earlier if decision.end_us < window.end_us][-(policy.n - 1) :]
    topics_by_window = [{finding.topic for finding in findings} for findings in (last_findings if policy.n > 1 else [])]
    now = [finding.topic for finding in window.findings if not finding.broken]
    return tuple(topic for topic in now if 1 + sum(topic in topics for topics in topics_by_window) >= policy.k)


def propose(window: Window, past: Sequence[PastDecision], policy: Policy) -> Proposal:
    """Collect what the policy reports of a window, and whether a trigger that is switched on asks for a retrain.

    Args:
        window: The summary of its evidence.
        past: Decisions about earlier windows, oldest first.
        policy: The rules.
    """
    persistent = confirmed(window, past, policy)
    reasons, topics, retrain = [], [], False
    for finding in window.findings:
        if finding.about == "quality":
            reasons.append(f"{finding.name} is worse by {finding.effect:.3g} on matured labels")
            topics.append(finding.topic)
            retrain = retrain or policy.quality
        elif finding.about == "estimate" and finding.topic in persistent:
            reasons.append(f"{finding.name} is estimated worse by {finding.effect:.3g} ({k_of_n(policy)})")
            topics.append(finding.topic)
            retrain = retrain or policy.estimates
        elif finding.about in ("prediction", "label") and finding.topic in persistent:
            reasons.append(f"the distribution of {finding.about}s drifted ({k_of_n(policy)})")
            topics.append(finding.topic)
            retrain = retrain or policy.drift
        elif finding.about == "joint" and finding.topic in persistent:  # which feature changed is not known: no retrain
            reasons.append(f"{finding.name} drifted ({k_of_n(policy)})")
            topics.append(finding.topic)
    if policy.worth is not None and window.worth is not None and window.worth.worth_it:
        reasons.append(describe(window.worth))
        topics.append("worth")
        retrain = True
    for trigger, reason in _schedule(window, policy):
        reasons.append(reason)
        topics.append(trigger)
        retrain = True
    for cause, reason in broken_causes(window.findings):
        reasons.append(reason)
        topics.append(cause)
    features = [finding for finding in window.findings if finding.about == "feature" and finding.topic in persistent]
    if features:
        share = len(features) / window.judged if window.judged else 0.0
        names = join_names([finding.name for finding in features])
        reasons.append(f"{len(features)} of {window.judged} features drifted ({k_of_n(policy)}): {names}")
        topics += dict.fromkeys(finding.cause for finding in features)
        retrain = retrain or (policy.drift and share >= policy.retrain_share)
    return Proposal(retrain=retrain, reasons=tuple(reasons), topics=tuple(topics), confirmed=persistent)


def _schedule(window: Window, policy: Policy) -> list[tuple[str, str]]:
    """Return the triggers that need no evidence and are due, each with its reason."""
    due = []
    if policy.age_us is not None and window.age_us is not None and window.age_us >= policy.age_us:
        due.append(("age", f"the champion's training data end {format_duration(window.age_us)} ago"))
    if policy.new_rows is not None and window.new_rows is not None and window.new_rows > policy.new_rows:
        due.append(("new_rows", f"rows with a label since the champion's training: {window.new_rows:.0%} of its own"))
    return due


def k_of_n(policy: Policy) -> str:
    """Describe the rule of persistence, for reasons."""
    return f"{policy.k} of {policy.n} windows"
