"""How old the champion's training data are at the end of a window, and how many rows have a label since."""

from __future__ import annotations

from typing import Any

from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.champion_reference import ChampionReference
from headrace.synthesis.spine.build import build_spine


def champion_age(context: Context, reference: ChampionReference, end_us: int) -> dict[str, Any]:
    """Return the fields `age_us` and `new_rows` of a window, for the triggers of these names.

    Rows are counted only where the policy has the trigger: labels must be computed for it.

    Args:
        context: of the problem.
        reference: of the champion.
        end_us: end of the window, production clock.
    """
    since = reference.trained_until_us
    if since is None:
        return {}
    facts: dict[str, Any] = {"age_us": max(end_us - since, 0)}
    if context.problem.policy.new_rows is not None and reference.trained_rows:
        facts["new_rows"] = (_labelled(context, end_us) - reference.trained_rows) / reference.trained_rows
    return facts


def _labelled(context: Context, end_us: int) -> int:
    """How many rows have a label by then."""
    snapshot = Lake(context.root, context.problem.name).snapshot()
    spine = build_spine(context.problem, snapshot, end_us=end_us, now_us=end_us, engine=context.engine)
    return int(spine["mature"].to_numpy().sum())
