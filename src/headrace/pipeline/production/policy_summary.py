"""Which retraining policy is on, and what the last replay of the problem found, in sentences for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.core.clock import iso
from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import read_json
from headrace.pipeline.context import Context
from headrace.schema import Policy

#: Below the home's `replays/<problem>`: of the problem's history.
RESULT = "result.json"


def describe_policy(policy: Policy) -> str:
    """Describe what starts a retrain and what holds it back, in one sentence."""
    triggers = [name for name in ("quality", "drift") if getattr(policy, name)]
    if policy.worth is not None:
        rules = policy.worth
        gain = f"worth (a gain of {rules.required_share:.1%} of the loss over {rules.horizon})"
        regret = f"regret (shadows would have saved {rules.cost:g} weeks of loss within {rules.window})"
        triggers.insert(0, regret if rules.rule == "regret" else gain)
    if policy.age is not None:
        triggers.append(f"age {policy.age}")
    if policy.new_rows is not None:
        triggers.append(f"new rows {policy.new_rows:.0%}")
    started = ", ".join(triggers) or "people only"
    gate = "" if policy.gate else " and promoted without a gate"
    return (
        f"retrains are started by {started}{gate}; cooldown {policy.cooldown}, at most {policy.budget} in "
        f"{policy.budget_period}"
    )


def policy_summary(context: Context) -> tuple[str, ...]:
    """Describe the policy that is on, and what the last replay found, or the command that replays."""
    found = last_result(context.root, context.problem.name)
    if found is None:
        return describe_policy(context.problem.policy), f"not replayed yet: {_command(context)}"
    plan = found["plan"]
    period = f"{iso(plan['start_us'])[:10]} to {iso(plan['end_us'])[:10]}"
    return describe_policy(context.problem.policy), f"replay of {period}: {' '.join(found['conclusions'][:2])}"


def last_result(root: Path, problem: str) -> dict[str, Any] | None:
    """Return the last replay of a problem's history as JSON; None where there is none that can be read."""
    try:
        found: dict[str, Any] = read_json(root / "replays" / problem / RESULT)
    except (FileNotFoundError, NotFoundError, CorruptError):
        return None
    return found


def _command(context: Context) -> str:
    """The replay of the history before the feed, which is cheap; of all history where there is no feed."""
    until = f" --until {iso(context.problem.feed.start_us)[:10]}" if context.problem.feed is not None else ""
    return f"headrace replay {context.reference}{until}"
