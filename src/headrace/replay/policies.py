"""The policies that a replay compares: those that production can run, calendars, and rules of the literature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headrace.core.clock import DAY, format_duration
from headrace.replay.evidence import Evidence
from headrace.replay.sequential import cusum_rule, upf_rule
from headrace.replay.table import LossTable
from headrace.replay.walk import Walk, calendar, walk_policy, walk_rule
from headrace.schema import Policy, Problem, Worth

#: Periods between the retrains of the calendars that are always shown.
_CALENDARS = (1, 2, 4, 8, 16)
#: Periods after which the trigger `age` starts a retrain.
_AGES = (2, 4, 6, 7, 8, 12, 17)
#: The problem's own policy, in the results.
DECLARED = "declared"
_NEW_ROWS = 0.25
#: The rule of regret, and by how much the regret must exceed the declared cost of a retrain.
_REGRETS = {"regret": 1.0, "regret, cost x 3": 3.0, "regret, cost x 8": 8.0}
#: The policy that starts no retrain, in the results.
NEVER = "never"


def production_policies(problem: Problem, every_us: int) -> dict[str, Policy]:
    """Return the policies that production can run besides `NEVER`: the declared one, and each trigger alone.

    Those of the calendar (`age`) are there with the gate, and without it.

    Args:
        problem: declares a policy.
        every_us: from one decision of the replay to the next.
    """
    declared = problem.policy
    none = replace(
        declared, quality=False, drift=False, worth=None, age=None, new_rows=None, estimates=False, cooldown="1d"
    )
    rules = worth_rules(problem, every_us)
    ages = {format_duration(count * every_us): replace(none, age=format_duration(count * every_us)) for count in _AGES}
    return {
        DECLARED: replace(declared, worth=rules if declared.worth is not None else None, estimates=False),
        "worth": replace(none, worth=rules),
        "worth, confidence .5": replace(none, worth=replace(rules, confidence=0.5)),
        "worth, confidence .01": replace(none, worth=replace(rules, confidence=0.01)),
        "worth, refit": replace(none, worth=replace(rules, promote="refit")),
        **{
            name: replace(none, worth=replace(rules, rule="regret", promote="refit", cost=times * rules.cost))
            for name, times in _REGRETS.items()
        },
        "quality": replace(none, quality=True, cooldown=declared.cooldown),
        "drift": replace(none, drift=True, cooldown=declared.cooldown),
        **{f"age {age}": policy for age, policy in ages.items()},
        **{f"age {age}, no gate": replace(policy, gate=False) for age, policy in ages.items()},
        "new rows 25 %": replace(none, new_rows=_NEW_ROWS),
    }


def worth_rules(problem: Problem, every_us: int) -> Worth:
    """Return the declared rules of worth; with other periods than theirs, for four periods."""
    rules = problem.policy.worth or Worth()
    if rules.every_us == every_us:
        return rules
    whole = max(every_us // DAY, 1) * DAY
    return replace(
        rules, every=format_duration(whole), window=format_duration(4 * whole), horizon=format_duration(4 * whole)
    )


def walk_all(evidence: Evidence, *, seed: int, say: Callable[[str], None] = lambda text: None) -> tuple[Walk, ...]:
    """Walk every policy; the first walk never retrains.

    Args:
        evidence: of the windows.
        seed: of the gate's bootstrap.
        say: receives how far it is, for people.
    """
    table, problem, every_us = evidence.table, evidence.problem, evidence.plan.every_us
    rules = worth_rules(problem, every_us)
    never = walk_rule(NEVER, lambda table, champion, period: False, table)
    fixed = [
        walk_rule(calendar_name(one, every_us), calendar(one), table) for one in _CALENDARS if one < len(table.periods)
    ]
    published = [
        walk_rule("CUSUM", cusum_rule(problem), table),
        walk_rule("UPF", upf_rule(rules, every_us), table, shadows=True),
    ]
    ours = []
    for name, policy in production_policies(problem, every_us).items():
        say(f"policy {name}")
        ours.append(walk_policy(name, policy, evidence, seed=seed))
    return (never, *fixed, *published, *ours)


def all_calendars(table: LossTable) -> dict[int, Walk]:
    """Return the walk of every calendar that retrains at all, by its number of periods."""
    return {one: walk_rule(f"every {one} periods", calendar(one), table) for one in range(1, len(table.periods))}


def calendar_name(periods: int, every_us: int) -> str:
    """Return the name of a calendar in the results, such as "every 28d"."""
    return f"every {format_duration(periods * every_us)}"
