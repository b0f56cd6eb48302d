"""`headrace monitor`, `headrace shadow` and `headrace retrain`: run the steps of the monitoring flows once."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.app.addresses import addresses
from headrace.app.context import context_of, settings_of, wall_us
from headrace.app.output import print_json
from headrace.app.progress import RunDisplay, print_log
from headrace.core.clock import iso
from headrace.core.errors import DeclarationError
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.monitor_report import MonitorReport
from headrace.pipeline.monitoring.monitor_window import draw, monitor_window
from headrace.pipeline.operations.retraining import RetrainReport, request_retrain, retrain
from headrace.pipeline.operations.shadow import refit_shadow


def monitor_problem(problem: str, home: Path | None, *, as_json: bool = False) -> None:
    """Evaluate the last window, decide, and print the decision."""
    context = context_of(problem, home)
    report = monitor_window(context, now_us=wall_us(), links=addresses(settings_of(home)))
    page = draw(context, report)
    if as_json:
        print_json(_window_facts(report, page.html if page else None))
        return
    show_report(report)
    if page:
        print(f"report: {page.html}")
    if report.retrain_is_open:
        print(f"a retrain is open: the server's reconcile flow starts it, or `headrace retrain {problem}`")


def _window_facts(report: MonitorReport, page: Path | None) -> dict[str, Any]:
    decision = report.decision
    return {
        "problem": report.problem,
        "window": {"from": iso(decision.start_us), "to": iso(decision.end_us)},
        "decision": {"id": decision.id, "kind": decision.kind, "reason": decision.reason, "new": report.new},
        "predictions": decision.rows,
        "labelled": decision.mature,
        "overdue": decision.censored,
        "evidence": report.rows(),
        "impact": decision.impact,
        "notes": report.notes,
        "retrain_is_open": report.retrain_is_open,
        "report": page,
    }


def refit_shadow_of(problem: str, home: Path | None, *, as_json: bool = False) -> None:
    """Fit the shadow that is due, and print what became of it."""
    print_log()
    with RunDisplay() as progress:
        report = refit_shadow(context_of(problem, home, progress=progress))
    if as_json:
        fitted = iso(report.shadow.fitted_us) if report.shadow else None
        print_json({"problem": report.problem, "new": report.new, "fitted": fitted, "reason": report.reason})
        return
    print(f"{report.problem}: {report.reason}")


def show_report(report: MonitorReport, console: Console | None = None) -> None:
    """Print a decision and its evidence."""
    console = console or Console(highlight=False)
    decision = report.decision
    console.print(f"{decision.problem}: {decision.kind}: {decision.reason}", soft_wrap=True)
    console.print(
        f"window {iso(decision.start_us)} to {iso(decision.end_us)}: {decision.rows:,} predictions, "
        f"{decision.mature:,} with a label, {decision.censored:,} overdue; decision {decision.id}",
        soft_wrap=True,
    )
    for sentence in decision.impact:
        console.print(f"{sentence}.", soft_wrap=True)
    for note in report.notes:
        console.print(f"note: {note}", soft_wrap=True)
    rows = report.rows()
    if rows:
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        table = Table()
        for name in names:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*("" if row.get(name) is None else str(row[name]) for name in names))
        console.print(table)


def retrain_problem(
    problem: str, decision: str | None, reason: str, home: Path | None, *, reselect: bool = False, as_json: bool = False
) -> None:
    """Execute a retrain: of the given decision, else the oldest open one, else a new one.

    reselect: a new one that selects features and family again; it must be significantly better than the champion.
    Exit code 4: the challenger was refused or could not be compared, or the training failed.
    """
    if decision and reselect:
        raise DeclarationError(
            "a decision says itself what it retrains", where="--reselect", fix="leave out --decision or --reselect"
        )
    print_log()
    with RunDisplay() as progress:
        context = context_of(problem, home, progress=progress)
        known = None if reselect else decision or _oldest_open(context)
        chosen = known or request_retrain(context, reason, now_us=wall_us(), reselect=reselect).id
        report = retrain(context, chosen, holder=f"{socket.gethostname()}:{os.getpid()}", now_us=wall_us)
    if as_json:
        print_json(_retrain_facts(report))
    else:
        show_outcome(report)
    if report.outcome in ("refused", "not comparable", "failed"):
        sys.exit(4)


def _retrain_facts(report: RetrainReport) -> dict[str, Any]:
    return {
        "problem": report.decision.problem,
        "decision": report.decision.id,
        "outcome": report.outcome,
        "reason": report.reason,
        "version": report.version,
        "escalated": report.escalated,
    }


def _oldest_open(context: Context) -> str | None:
    entries = Outbox(context.root, context.problem.name).open_retrains(wall_us())
    return entries[0].decision.id if entries else None


def show_outcome(report: RetrainReport) -> None:
    """Print the outcome of a retrain."""
    version = f", version {report.version}" if report.version else ""
    print(f"{report.decision.problem}: {report.outcome}{version}: {report.reason}")
    if report.escalated:
        print("retraining does not help: a person is needed (`headrace alerts`)")
