"""Print the state of a rollout, and take its steps: `headrace rollout`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.app.context import context_of, wall_us
from headrace.app.output import print_json
from headrace.pipeline.rollout.by_hand import begin_by_hand, next_step, promote_now, roll_back_now
from headrace.pipeline.rollout.decision import place
from headrace.pipeline.rollout.evaluate import RolloutReport, evaluate_rollout, rollout_state


def show_state(problem: str, home: Path | None, *, as_json: bool = False) -> None:
    """Print the rollout under way and what would be done now."""
    _show(rollout_state(context_of(problem, home)), as_json)


def begin_rollout_of(
    problem: str, version: str, reason: str, home: Path | None, *, force: bool = False, as_json: bool = False
) -> None:
    """Begin the rollout of a version; exit code 4 where it is refused."""
    report = begin_by_hand(context_of(problem, home), version, reason, now_us=wall_us(), force=force)
    _show(report, as_json)
    if report.step is not None and report.step.phase == "refused":
        sys.exit(4)


def advance_rollout(problem: str, reason: str, home: Path | None, *, now: bool = False, as_json: bool = False) -> None:
    """Evaluate the rollout and take the step that follows, or the next step whatever follows."""
    context = context_of(problem, home)
    report = next_step(context, reason, now_us=wall_us()) if now else evaluate_rollout(context, now_us=wall_us())
    _show(report, as_json)


def promote_challenger(problem: str, reason: str, home: Path | None, *, as_json: bool = False) -> None:
    """Make the challenger the champion now."""
    _show(promote_now(context_of(problem, home), reason, now_us=wall_us()), as_json)


def roll_back_challenger(problem: str, reason: str, home: Path | None, *, as_json: bool = False) -> None:
    """End the rollout under way."""
    _show(roll_back_now(context_of(problem, home), reason, now_us=wall_us()), as_json)


def _show(report: RolloutReport, as_json: bool) -> None:
    if as_json:
        print_json(_facts(report))
        return
    console = Console(highlight=False)
    champion = f"version {report.champion}" if report.champion else "none"
    console.print(f"{report.problem}: champion {champion}; {report.reason}", soft_wrap=True)
    if report.steps:
        table = Table()
        for name in ("at", "phase", "share", "reason"):
            table.add_column(name, overflow="fold")
        for row in report.rows():
            table.add_row(*row.values())
        console.print(table)


def _facts(report: RolloutReport) -> dict[str, Any]:
    step, decision = report.step, report.decision
    return {
        "problem": report.problem,
        "champion": report.champion,
        "version": step.version if step else None,
        "phase": step.phase if step else None,
        "place": place(step) if step else None,
        "share": step.share if step else None,
        "decision": {"action": decision.action, "reason": decision.reason, "share": decision.share}
        if decision
        else None,
        "acted": report.acted,
        "comparison": report.comparison.to_json() if report.comparison else None,
        "steps": report.rows(),
    }
