"""`headrace backfill`: write the history of the published features as Parquet rows."""

from __future__ import annotations

import sys
from pathlib import Path

from headrace.app.context import context_of
from headrace.app.output import print_json
from headrace.cli.parameters import parse_instant
from headrace.core.clock import parse_duration
from headrace.store.backfill import backfill, plan


def backfill_problem(
    reference: str,
    home: Path | None,
    *,
    start: str,
    until: str | None,
    every: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Backfill, and print the result or its JSON; a line per chunk goes to standard error."""
    context = context_of(reference, home)
    what = plan(
        context.root,
        context.problem,
        from_us=parse_instant(start, "--from") or 0,
        until_us=parse_instant(until, "--to"),
        every_us=None if every is None else parse_duration(every),
    )
    folder = out or context.root / "backfill" / context.problem.name
    report = backfill(context.root, context.problem, what, folder, progress=lambda text: print(text, file=sys.stderr))
    if as_json:
        print_json(report)
        return
    rows = ", ".join(f"{name} {count:,}" for name, count in report.rows.items())
    print(f"{context.problem.name}: {report.written} chunks written, {report.kept} complete already; rows: {rows}")
    print(f"history until {report.until}: {report.folder}")
