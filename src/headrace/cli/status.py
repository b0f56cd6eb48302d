"""`headrace status`: show the champion, the last run, the production clock and the running services."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.app.addresses import page_of
from headrace.app.context import settings_of
from headrace.app.output import print_json
from headrace.core.clock import iso
from headrace.core.errors import CorruptError, NotFoundError, UnavailableError
from headrace.core.replicas import read_replicas
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.registry.ledger import Ledger
from headrace.schema import Problem
from headrace.services.lifecycle import running_services
from headrace.serving.reports import report_file
from headrace.store.materialise import views_ahead

_log = logging.getLogger(__name__)


def gather(reference: str, root: Path) -> dict[str, Any]:
    """{problem, champion: {version, metrics}, last_run: {seconds, stages}, clock, fault, addresses}; null: none."""
    problem = load_problem(reference)
    name = problem.name
    record = Ledger(root, name).champion()
    try:
        last_run = read_replicas(root / "runs" / name / "last_run.json")
    except NotFoundError:
        last_run = None
    except CorruptError as error:  # the next run writes it anew
        _log.warning("%s", error)
        last_run = None
    clock = Lake(root, name).clock()
    return {
        "problem": name,
        "champion": {"version": record.version, "metrics": dict(record.metrics), "reason": record.reason}
        if record
        else None,
        "report": _report(root, name, record.version) if record else None,
        "last_run": {key: last_run[key] for key in ("seconds", "stages")} if last_run else None,
        "clock": iso(clock) if clock is not None else None,
        "fault": _fault(root, problem),
        "addresses": running_services(root),
    }


def _report(root: Path, name: str, version: str) -> str | None:
    """Return the path of a version's report, None where there is none (of a version of an earlier Headrace)."""
    path = report_file(root, name, version)
    return str(path) if path.exists() else None


def _no_champion_reason(root: Path, name: str) -> str:
    if any((root / "registry" / name / "versions").glob("*.json")) and not Ledger(root, name).exists():
        return "the ledger is gone: run again, and it is made anew from MLflow"
    return "none yet: run `headrace run`"


def _fault(root: Path, problem: Problem) -> str | None:
    """Return why the online store is not served: it does not answer, or is ahead of the clock."""
    try:
        facts = views_ahead(root, problem)
    except (NotFoundError, CorruptError):
        return None
    except UnavailableError as error:
        return f"online store: {error}"
    return "online store beyond the production clock, not served: run `headrace run`" if facts else None


def show_status(reference: str, home: Path | None, *, as_json: bool) -> None:
    """Print the status as a table or as JSON."""
    root = settings_of(home).root
    facts = gather(reference, root)
    if as_json:
        print_json(facts)
        return
    console = Console()
    table = Table(show_header=False, title=facts["problem"])
    champion = facts["champion"]
    table.add_row(
        "champion", f"version {champion['version']}" if champion else _no_champion_reason(root, facts["problem"])
    )
    for metric, value in (champion["metrics"] if champion else {}).items():
        table.add_row(
            f"  {metric}", f"{value:,.0f}" if metric.endswith(("predictions", "labelled")) else f"{value:.4f}"
        )
    if facts["report"]:
        table.add_row("report", facts["report"])
    table.add_row("clock", facts["clock"] or "not started")
    if facts["fault"]:
        table.add_row("fault", facts["fault"])
    if facts["last_run"]:
        table.add_row("last run", f"{facts['last_run']['seconds']:.1f} s")
        for stage in facts["last_run"]["stages"]:
            table.add_row(f"  {stage['name']}", f"{stage['seconds']:.1f} s, {'cached' if stage['cached'] else 'run'}")
    for name, url in facts["addresses"].items():
        table.add_row(name, page_of(name, url))
    console.print(table)
