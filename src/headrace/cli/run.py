"""`headrace run` and `headrace advance`: the work, with progress while it goes and a table at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from headrace.app.addresses import addresses as service_addresses
from headrace.app.addresses import tracking_uri
from headrace.app.context import context_of, settings_of
from headrace.app.report import show_report
from headrace.core.clock import iso
from headrace.core.settings import byte_size
from headrace.pipeline.operations.advance import advance
from headrace.pipeline.walker import open_run


def run_problem(
    problem: str, home: Path | None, *, trials: int | None, seed: int | None, max_memory: str | None = None
) -> None:
    """Walk every stage; exit code 3 when a batch was quarantined on the way."""
    chosen = settings_of(home)
    limit = chosen.max_memory if max_memory is None else byte_size(max_memory, where="--max-memory")
    console = Console(stderr=True)
    told: list[Callable[[str], None]] = []
    pipeline = open_run(
        problem, chosen.root, tracking_uri=tracking_uri(chosen), trials=trials, seed=seed, workers=chosen.workers,
        max_memory=limit, on_search=lambda line: told[-1](f"search: {line}"),
        on_synthesis=lambda line: told[-1](f"synthesise: {line}"),
        on_damage=lambda line: console.print(f"damaged: {line}", highlight=False, markup=False, soft_wrap=True),
    )  # fmt: skip
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        bar = progress.add_task("starting", total=len(pipeline.stage_names))
        # a terminal's line is drawn over; a log gets one for each trial, and for each part of the features
        told.append(
            (lambda line: progress.update(bar, description=line))
            if console.is_terminal
            else (lambda line: console.print(line, highlight=False, soft_wrap=True))
        )
        for name in pipeline.stage_names:
            progress.update(bar, description=name)
            pipeline.run_stage(name)
            progress.advance(bar)
    report = pipeline.finish(addresses=service_addresses(chosen))
    show_report(report)
    if report.quarantined:
        sys.exit(3)


def advance_problem(problem: str, steps: int, home: Path | None) -> None:
    """Live through some steps of the feed."""
    context = context_of(problem, home)
    refused = False
    for _ in range(steps):
        report = advance(context)
        refused = refused or bool(report.refused)
        print(f"{iso(report.to_us)}: {sum(item.rows for item in report.ingested)} rows, {report.scored} predictions")
        if report.note:
            print(f"  note: {report.note}")
        for outcome in report.refused:
            print(f"  quarantined {outcome.table}: {'; '.join(outcome.reasons)}")
    if refused:
        sys.exit(3)
