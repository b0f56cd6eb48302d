"""`headrace run` and `headrace advance`: the work, with progress while it goes and a table at the end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from headrace.app.addresses import addresses as service_addresses
from headrace.app.context import context_of, settings_of
from headrace.app.observed import observed_run
from headrace.app.output import print_json
from headrace.app.progress import RunDisplay, print_log
from headrace.app.report import show_report
from headrace.core.clock import iso
from headrace.core.settings import byte_size
from headrace.pipeline.operations.advance import AdvanceReport, advance
from headrace.pipeline.walker import PipelineRun


def run_problem(
    problem: str,
    home: Path | None,
    *,
    trials: int | None,
    seed: int | None,
    max_memory: str | None = None,
    as_json: bool = False,
) -> None:
    """Run the main job; exit code 3 when a batch was quarantined on the way."""
    limit = None if max_memory is None else byte_size(max_memory, where="--max-memory")
    print_log()
    with RunDisplay() as progress:
        context = context_of(problem, home, trials=trials, seed=seed, max_memory=limit, progress=progress)
        with observed_run("pipeline", context.problem.name, settings_of(home)):
            report = PipelineRun(context).complete(addresses=service_addresses(settings_of(home)))
    if as_json:
        print_json(report.as_json())
    else:
        show_report(report)
    if report.quarantined:
        sys.exit(3)


def advance_problem(problem: str, steps: int, home: Path | None, *, as_json: bool = False) -> None:
    """Live through some steps of the feed."""
    context = context_of(problem, home)
    reports: list[AdvanceReport] = []
    for _ in range(steps):
        reports.append(advance(context))
        if not as_json:
            _show_step(reports[-1])
    if as_json:
        print_json([_step_facts(report) for report in reports])
    if any(report.quarantined for report in reports):
        sys.exit(3)


def _show_step(report: AdvanceReport) -> None:
    print(f"{iso(report.to_us)}: {sum(item.rows for item in report.ingested)} rows, {report.scored} predictions")
    if report.note:
        print(f"  note: {report.note}")
    for batch in report.quarantined:
        print(f"  quarantined {batch.table}: {'; '.join(batch.reasons)}")


def _step_facts(report: AdvanceReport) -> dict[str, Any]:
    return {
        "problem": report.problem,
        "from": iso(report.from_us),
        "to": iso(report.to_us),
        "ingested": {item.table: item.rows for item in report.ingested},
        "predictions": report.scored,
        "materialised": report.materialised,
        "quarantined": report.quarantined,
        "note": report.note or None,
    }
