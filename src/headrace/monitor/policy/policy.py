"""The monitoring policy: decide from a window's evidence and earlier decisions what to do. A pure function.

  nothing    no drift; or not yet confirmed; or reported recently; or a retrain is pending
  alert      a broken column, drift that does not justify a retrain, or a retrain that a constraint prevents
  retrain    by a trigger that the policy switches on:
             quality     quality dropped on matured labels
             drift       predictions, labels or enough features drifted, confirmed in k of the last n measured windows
             age         the champion's training data end long ago
             new_rows    many rows have a label since then
             rollback    the champion's predecessor is better: it becomes champion again, and nothing is trained
             worth       a refresh is worth its cost: then the shadow that has shown it is promoted, or a newer refit

A missing or empty column is a fault of the feed: it is reported at once and is never a reason to retrain, because the
new model would learn the fault. A retrain does not start while another one is open, within the cooldown (doubled for
each consecutive retrain without a promotion), beyond the budget, or after an escalation: `escalate_after` consecutive
retrains without a better model alert people, and the next retrain waits for `pause_us`. All times are on the production
clock; a window is decided at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace.core.clock import format_duration, iso
from headrace.monitor.policy.causes import acknowledged_topics, join_names
from headrace.monitor.policy.decision import Decision, PastDecision, Window, decision_id
from headrace.monitor.policy.proposal import Proposal, k_of_n, propose
from headrace.monitor.worth.worth import WorthEvidence
from headrace.schema import Policy

#: Outcomes that count as evidence that retraining does not help; "not comparable" does not.
UNSUCCESSFUL = frozenset({"refused", "failed"})


@dataclass(frozen=True, kw_only=True)
class _Constraint:
    """Why a proposed retrain must not start. silent: no alert, because a retrain is already pending."""

    topic: str
    reason: str
    silent: bool = False
    escalated: bool = False


def decide(window: Window, history: Sequence[PastDecision] = (), policy: Policy | None = None) -> Decision:
    """Decide what to do about a window.

    Args:
        window: The summary of its evidence.
        history: Earlier decisions with their outcomes, in any order; a decision about this window is ignored.
        policy: The rules; the defaults where None. Equal arguments give an equal decision and id.
    """
    policy = policy or Policy()
    earlier = _earlier(window, history)
    if window.champion is None:
        return _decision(window, "nothing", "there is no champion to watch yet")
    if not window.measured:
        note = "; ".join((window.outcome, *window.notes))
        proposal = Proposal(retrain=False, reasons=(note,), topics=(f"outcome:{window.outcome}",), confirmed=())
        return _alert(window, proposal, earlier, policy) if window.blind else _decision(window, "nothing", note)
    if (back := _rollback(window, earlier, policy)) is not None:
        return back
    proposal = propose(window, earlier, policy)
    if not proposal.reasons:
        return _decision(window, "nothing", _reason_for_nothing(window, earlier, policy))
    if not proposal.retrain:
        return _alert(window, proposal, earlier, policy)
    constraint = _constraint(window, earlier, policy)
    if constraint is None:
        decision = _decision(window, "retrain", "; ".join(proposal.reasons), proposal)
        won = window.worth if "worth" in proposal.topics else None
        return replace(decision, shadow_us=_promoted_us(won, window, policy)) if won else decision
    return _alert(window, proposal, earlier, policy, constraint)


def _rollback(window: Window, past: Sequence[PastDecision], policy: Policy) -> Decision | None:
    """The roll back to the predecessor where it is significantly better; neither cooldown nor budget holds it back."""
    found = window.predecessor_worth
    pending = any(one.decision.kind == "retrain" and one.outcome is None for one in past)
    if not policy.rollback or window.predecessor is None or found is None or not found.worth_it or pending:
        return None
    reason = (
        f"version {window.champion} is worse than its predecessor, version {window.predecessor}, which would have lost "
        f"{found.share:.1%} less since the promotion (at least {found.low / found.champion_loss:.1%} less, on "
        f"{found.rows:,} labels of {found.days} days)"
    )
    proposal = Proposal(retrain=True, reasons=(reason,), topics=("rollback",), confirmed=())
    return replace(_decision(window, "retrain", reason, proposal), rollback_to=window.predecessor)


def _promoted_us(won: WorthEvidence, window: Window, policy: Policy) -> int | None:
    """The instant of the refit that is promoted: the newest shadow that was judged, or one of all rows known now."""
    refit = policy.worth is not None and policy.worth.promote == "refit"
    return window.end_us if refit else won.shadow_us


def escalation(decision: Decision, history: Sequence[PastDecision], policy: Policy | None = None) -> Decision | None:
    """Return the escalation after a retrain that ended without a better model; None where none is due.

    Args:
        decision: The retrain that ended.
        history: All decisions, with the outcome of `decision`.
        policy: The rules; the defaults where None.
    """
    policy = policy or Policy()
    unsuccessful = _unsuccessful_retrains(sorted(history, key=_sort_key))
    if len(unsuccessful) < policy.escalate_after or unsuccessful[-1].decision.id != decision.id:
        return None
    return Decision(
        **{
            **decision.__dict__,
            "id": decision_id(decision.problem, decision.start_us, decision.end_us, decision.champion, "escalation"),
            "kind": "alert",
            "reason": _escalation_reason(unsuccessful, policy),
            "measured": False,
            "topics": ("escalation",),
            "escalated": True,
        }
    )


def manual_retrain(problem: str, champion: str | None, at_us: int, reason: str, *, reselect: bool = False) -> Decision:
    """Return the decision of a person to retrain, which no policy constrains.

    Args:
        problem, champion: Name of the problem, and its present version, None where there is none.
        at_us: Instant on the production clock.
        reason: Reason to record.
        reselect: Whether to select features and family again.

    Returns:
        The decision; equal arguments give an equal id, so that a repeated request is the same retrain.
    """
    return Decision(
        id=decision_id(problem, at_us, at_us, champion, "by hand, features anew" if reselect else "by hand"),
        problem=problem,
        kind="retrain",
        reason=reason,
        start_us=at_us,
        end_us=at_us,
        champion=champion,
        measured=False,
        reselect=reselect,
    )


def _constraint(window: Window, past: Sequence[PastDecision], policy: Policy) -> _Constraint | None:
    retrains = [one for one in past if one.decision.kind == "retrain" and one.outcome != "superseded"]
    pending = [one.decision for one in retrains if one.outcome is None]
    if pending:
        reason = f"retrain {pending[-1].id} of {iso(pending[-1].end_us)} is not finished yet"
        return _Constraint(topic="pending", reason=reason, silent=True)
    if not retrains:
        return None
    since = window.end_us - retrains[-1].decision.end_us
    unsuccessful = _unsuccessful_retrains(past)
    if len(unsuccessful) >= policy.escalate_after and since < policy.pause_us:
        return _Constraint(topic="escalation", reason=_escalation_reason(unsuccessful, policy), escalated=True)
    cooldown = policy.cooldown_us * 2 ** min(len(unsuccessful), 10)
    if len(unsuccessful) < policy.escalate_after and since < cooldown:
        last = retrains[-1]
        text = f"the last retrain, {iso(last.decision.end_us)}, was {last.outcome}"
        return _Constraint(topic="cooldown", reason=f"{text}; the cooldown is {format_duration(cooldown)}")
    started = sum(one.decision.end_us > window.end_us - policy.budget_period_us for one in retrains)
    if started >= policy.budget:
        reason = f"the budget of {policy.budget} retrains in {format_duration(policy.budget_period_us)} is spent"
        return _Constraint(topic="budget", reason=reason)
    return None


def _alert(
    window: Window,
    proposal: Proposal,
    past: Sequence[PastDecision],
    policy: Policy,
    constraint: _Constraint | None = None,
) -> Decision:
    """Return an alert, or nothing where all its topics are acknowledged, or were reported within `repeat_us`."""
    topics, reason = proposal.topics, "; ".join(proposal.reasons)
    if constraint is not None:
        topics, reason = (*topics, constraint.topic), f"{reason}. No retrain: {constraint.reason}"
    recent = [
        one.decision
        for one in past
        if one.decision.kind != "nothing"
        and one.decision.champion == window.champion
        and window.end_us - one.decision.end_us < policy.repeat_us
    ]
    reported, seen = {topic for decision in recent for topic in decision.topics}, acknowledged_topics(window, past)
    if (constraint and constraint.silent) or set(topics) <= reported | seen:
        word = "Acknowledged" if set(topics) <= seen else "Reported already"
        suffix = "" if constraint and constraint.silent else f". {word}"
        return _decision(window, "nothing", reason + suffix, proposal, topics=())
    escalated = constraint is not None and constraint.escalated
    return _decision(window, "alert", reason, proposal, topics=topics, escalated=escalated)


def _decision(
    window: Window,
    kind: str,
    reason: str,
    proposal: Proposal | None = None,
    *,
    topics: tuple[str, ...] | None = None,
    escalated: bool = False,
) -> Decision:
    return Decision(
        id=decision_id(window.problem, window.start_us, window.end_us, window.champion),
        problem=window.problem,
        kind=kind,  # type: ignore[arg-type]
        reason=reason,
        start_us=window.start_us,
        end_us=window.end_us,
        champion=window.champion,
        measured=window.measured,
        drifted=window.findings,
        confirmed=proposal.confirmed if proposal else (),
        topics=topics if topics is not None else (proposal.topics if proposal else ()),
        costs=window.costs,
        judged=window.judged,
        rows=window.rows,
        mature=window.mature,
        censored=window.censored,
        age_us=window.age_us,
        new_rows=window.new_rows,
        impact=window.impact,
        worth=window.worth,
        predecessor=window.predecessor,
        predecessor_worth=window.predecessor_worth,
        escalated=escalated,
    )


def _reason_for_nothing(window: Window, past: Sequence[PastDecision], policy: Policy) -> str:
    unconfirmed = [finding.name for finding in window.findings]
    if unconfirmed:
        return f"{join_names(unconfirmed)} drifted, but not in {k_of_n(policy)} yet"
    labels = "" if window.mature else "; no labels have matured yet, so quality is not known"
    return f"no drift in {window.judged} features and {window.rows:,} predictions{labels}"


def _unsuccessful_retrains(past: Sequence[PastDecision]) -> list[PastDecision]:
    """Return the unsuccessful retrains since the last promotion, oldest first."""
    unsuccessful: list[PastDecision] = []
    for one in past:
        if one.decision.kind == "retrain" and one.outcome == "promoted":
            unsuccessful.clear()
        elif one.decision.kind == "retrain" and one.outcome in UNSUCCESSFUL:
            unsuccessful.append(one)
    return unsuccessful


def _escalation_reason(unsuccessful: Sequence[PastDecision], policy: Policy) -> str:
    why = unsuccessful[-1].outcome_reason or str(unsuccessful[-1].outcome)
    count = f"{len(unsuccessful)} retrains in a row" if len(unsuccessful) > 1 else "the retrain"
    pause = format_duration(policy.pause_us)
    return f"retraining did not help: {count} brought no better model (last: {why}). Next try after {pause}, or by hand"


def _earlier(window: Window, history: Sequence[PastDecision]) -> list[PastDecision]:
    own = decision_id(window.problem, window.start_us, window.end_us, window.champion)
    return sorted(
        (one for one in history if one.decision.id != own and one.decision.end_us <= window.end_us), key=_sort_key
    )


def _sort_key(one: PastDecision) -> tuple[int, str]:
    return one.decision.end_us, one.decision.id
