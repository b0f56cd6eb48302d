"""`headrace policy explain`: what the declared policy would have done for each past window, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.app.context import context_of
from headrace.app.output import print_json
from headrace.core.clock import iso
from headrace.pipeline.operations.explain_policy import ExplainedWindow, explain_policy
from headrace.pipeline.production.policy_summary import last_result, policy_summary


def explain(problem: str, home: Path | None, *, as_json: bool = False) -> None:
    """Print the policy, its decision for each recorded window, and its decisions in the last replay."""
    context, console = context_of(problem, home), Console(highlight=False)
    windows, found = explain_policy(context), last_result(context.root, context.problem.name)
    replayed = () if found is None else found["walks"].get("declared", ())
    if as_json:
        recorded = [_window_facts(one) for one in windows]
        print_json({"policy": policy_summary(context), "recorded": recorded, "replayed": replayed})
        return
    for line in policy_summary(context):
        console.print(line, soft_wrap=True)
    if windows:
        console.print(_recorded(windows))
    else:
        console.print("no window was recorded yet: `headrace monitor` records one")
    if found is not None:
        console.print(_replayed(replayed))


def _window_facts(one: ExplainedWindow) -> dict[str, Any]:
    return {
        "window": {"from": iso(one.recorded.start_us), "to": iso(one.recorded.end_us)},
        "champion": one.recorded.champion,
        "decided_then": one.recorded.kind,
        "outcome": one.outcome,
        "decides_now": one.decision.kind,
        "reason": one.decision.reason,
    }


def _recorded(windows: tuple[ExplainedWindow, ...]) -> Table:
    table = Table(title="recorded windows")
    for name in ("window", "champion", "decided then", "decides now", "why"):
        table.add_column(name)
    for one in windows:
        then = one.recorded.kind + (f" ({one.outcome})" if one.outcome else "")
        table.add_row(
            f"{iso(one.recorded.start_us)[:10]} to {iso(one.recorded.end_us)[:10]}",
            one.recorded.champion or "none",
            then,
            one.decision.kind,
            one.decision.reason,
        )
    return table


def _replayed(steps: list[dict[str, Any]] | tuple[()]) -> Table:
    table = Table(title="replayed windows, declared policy")
    for name in ("until", "decision", "outcome", "why"):
        table.add_column(name)
    for step in steps:
        table.add_row(iso(step["at_us"])[:10], step["kind"], step["outcome"] or "", step["reason"])
    return table
