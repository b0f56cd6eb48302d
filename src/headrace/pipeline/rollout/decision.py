"""Decide the next step of a rollout from its comparison: a pure function, whose result is printed or carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.core.clock import format_duration, iso
from headrace.pipeline.rollout.comparison import RolloutComparison
from headrace.registry.rollout_tables import RolloutStep
from headrace.schema import Rollout

Action = Literal["go on", "advance", "promote", "roll back", "end"]


@dataclass(frozen=True, kw_only=True)
class RolloutDecision:
    """What to do about a rollout, and why.

    Attributes:
        action: What to do. "advance": the challenger answers `share` of the entities. "end": the champion stays.
        reason: Why, for people.
        share: Share of the entities after the step.
    """

    action: Action
    reason: str
    share: float = 0.0


def decide(
    step: RolloutStep, comparison: RolloutComparison, rules: Rollout, *, began_us: int, now_us: int
) -> RolloutDecision:
    """Decide the next step.

    Args:
        step: The rollout's last step.
        comparison: Losses on matured labels.
        rules: The problem's.
        began_us: When the rollout began, on the production clock.
        now_us: The present on the production clock.
    """
    if comparison.is_worse:
        return RolloutDecision(action="roll back", reason=f"its losses are larger: {describe(comparison)}")
    if now_us - began_us >= rules.deadline_us:
        reason = f"not decided within {rules.deadline}: {describe(comparison)}"
        return RolloutDecision(action="end", reason=reason)
    if lacking := _lacking(step, comparison, rules, now_us):
        return RolloutDecision(action="go on", reason=lacking, share=step.share)
    following = next((share for share in rules.shares if share > step.share), None)
    if following is not None:
        reason = f"{comparison.predicted:,} predictions without a fault; {describe(comparison)}"
        return RolloutDecision(action="advance", reason=reason, share=following)
    if comparison.is_better:
        reason = f"its losses are within {rules.tolerance:.1%} of the champion's: {describe(comparison)}"
        return RolloutDecision(action="promote", reason=reason)
    return RolloutDecision(action="go on", reason=f"not shown yet: {describe(comparison)}", share=step.share)


def _lacking(step: RolloutStep, comparison: RolloutComparison, rules: Rollout, now_us: int) -> str:
    """Return what the present step lacks before the next one; empty where it lacks nothing."""
    least_us = rules.shadow_us if step.phase == "shadow" else rules.hold_us
    if now_us - step.at_us < least_us:
        return f"{place(step)} until {iso(step.at_us + least_us)} at least ({format_duration(least_us)})"
    if comparison.predicted < rules.least_requests:
        return f"{place(step)}: {comparison.predicted:,} of {rules.least_requests:,} predictions"
    return ""


def place(step: RolloutStep) -> str:
    """Return where a rollout is, in words."""
    return step.phase if step.phase != "canary" else f"canary, {step.share:.0%} of the entities"


def describe(comparison: RolloutComparison) -> str:
    """Return a comparison in words."""
    if not comparison.blocks:
        return "no block of labels is complete yet"
    share = comparison.gain / comparison.champion_loss if comparison.champion_loss else 0.0
    word = "less" if share >= 0 else "more"
    return (
        f"{abs(share):.2%} {word} loss per prediction than the champion on {comparison.rows:,} labelled rows "
        f"({comparison.blocks} blocks; evidence for {comparison.better:.3g}, against {comparison.worse:.3g}, "
        f"{comparison.required:.3g} decides)"
    )
