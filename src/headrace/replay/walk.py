"""Walk a policy over the table of candidates: at the end of every period decide, retrain, judge, and go on.

The decisions are those of production (`monitor.policy.decide`), with the history of decisions and outcomes that the
outbox would hold. A retrain is done at once: its candidate is in the table. Production decides on every day, a replay
at the end of every period, for candidates exist only then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headrace.monitor.policy.decision import Decision, Outcome, PastDecision
from headrace.monitor.policy.policy import decide, escalation
from headrace.replay.evidence import Evidence
from headrace.replay.gate import judge
from headrace.replay.table import Ints, LossTable
from headrace.schema import Policy

#: (table, champion, period) -> whether to retrain at the end of the period. For policies that are no `Policy`.
Rule = Callable[[LossTable, int, int], bool]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What was decided at the end of a period.

    Attributes:
        period: Its number.
        at_us: Its end.
        champion: The model that was champion in it.
        kind: nothing, alert or retrain.
        reason: For people.
        outcome: Of a retrain.
        following: The champion of the next period.
    """

    period: int
    at_us: int
    champion: int
    kind: str
    reason: str
    following: int
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A policy's way through the months.

    Attributes:
        name: Of the policy.
        steps: One for each period.
        retrains: Retrains that were started, whatever came of them.
        cpu_s: CPU seconds of its fits and its evidence.
    """

    name: str
    steps: tuple[Step, ...]
    retrains: int
    cpu_s: float

    @property
    def champions(self) -> Ints:
        """The champion of each period."""
        return np.array([step.champion for step in self.steps], dtype=np.int64)

    @property
    def promoted(self) -> int:
        """Retrains that changed the champion within the replay."""
        return int((np.diff(self.champions) != 0).sum())


def walk_policy(name: str, policy: Policy, evidence: Evidence, *, seed: int = 0) -> Walk:
    """Walk a policy of production.

    Args:
        name: For people.
        policy: The rules.
        evidence: Of the windows.
        seed: Of the gate's bootstrap.
    """
    table, champion = evidence.table, evidence.table.first
    history: list[PastDecision] = []
    steps, cpu_s = [], 0.0
    for period in table.periods:
        decision = decide(evidence.window(champion, period, policy), history, policy)
        cpu_s += evidence.cpu_s.get((champion, period, policy.drift, policy.quality), 0.0)
        outcome, following, reason = None, champion, decision.reason
        if period + 1 == table.models:
            steps.append(_step(table, period, champion, champion, "nothing", "the replay ends"))
            break
        if decision.kind == "retrain":
            following, outcome, why = _retrain(evidence, policy, decision, champion, period, seed)
            reason = f"{reason}. {outcome}: {why}" if why else reason
            cpu_s += 0.0 if decision.shadow_us is not None else float(table.cpu_s[period + 1])
        history.append(PastDecision(decision=decision, outcome=outcome, outcome_reason=reason))
        if decision.kind == "retrain" and (further := escalation(decision, history, policy)) is not None:
            history.append(PastDecision(decision=further))
        steps.append(_step(table, period, champion, following, decision.kind, reason, outcome))
        champion = following
    if policy.worth is not None:
        cpu_s += float(table.cpu_s[table.first + 1 :].sum())  # a shadow in every period
    retrains = sum(step.kind == "retrain" for step in steps)
    return Walk(name=name, steps=tuple(steps), retrains=retrains, cpu_s=cpu_s)


def _retrain(
    evidence: Evidence, policy: Policy, decision: Decision, champion: int, period: int, seed: int
) -> tuple[int, Outcome, str]:
    """The next champion, the outcome and its reason: a shadow that has won, or a challenger that passes the gate."""
    table = evidence.table
    if decision.shadow_us is not None:
        return int(np.searchsorted(table.instants_us, decision.shadow_us)), "promoted", ""
    if not policy.gate:
        return period + 1, "promoted", "without a gate"
    outcome, reason = judge(evidence.problem, table, period + 1, champion, seed)
    return (period + 1 if outcome == "promoted" else champion), outcome, reason


def walk_rule(name: str, rule: Rule, table: LossTable, *, shadows: bool = False) -> Walk:
    """Walk a rule whose retrains are all promoted: a calendar, or a method of the literature as it was published.

    Args:
        name: For people.
        rule: Whether to retrain at the end of a period.
        table: Of the candidates.
        shadows: Whether it needs a fit in every period.
    """
    champion, steps, cpu_s = table.first, [], 0.0
    for period in table.periods:
        following = champion
        if period + 1 < table.models and rule(table, champion, period):
            following = period + 1
            cpu_s += float(table.cpu_s[following])
        kind = "retrain" if following != champion else "nothing"
        steps.append(_step(table, period, champion, following, kind, name, "promoted" if kind == "retrain" else None))
        champion = following
    if shadows:
        cpu_s = float(table.cpu_s.sum())
    return Walk(name=name, steps=tuple(steps), retrains=sum(one.kind == "retrain" for one in steps), cpu_s=cpu_s)


def calendar(every: int) -> Rule:
    """Retrain at the end of every so many periods."""
    return lambda table, champion, period: (period + 1 - table.first) % every == 0


def chosen(retrains: Sequence[int]) -> Rule:
    """Retrain just before these periods: a choice made in hindsight."""
    periods = frozenset(retrains)
    return lambda table, champion, period: period + 1 in periods


def _step(
    table: LossTable, period: int, champion: int, following: int, kind: str, reason: str, outcome: Outcome | None = None
) -> Step:
    return Step(
        period=period,
        at_us=int(table.instants_us[period + 1]),
        champion=champion,
        kind=kind,
        reason=reason,
        outcome=outcome,
        following=following,
    )
