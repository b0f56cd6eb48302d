"""Print the report of a finished run: its stages, the champion, the gate's decision and the addresses of the pages."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from headrace.pipeline.report import RunReport


def show_report(report: RunReport, console: Console | None = None) -> None:
    """Print the report of a run.

    Args:
        report: The finished run.
        console: Where to print; standard output if left out.
    """
    console = console or Console()
    table = Table(title=f"{report.problem}: {report.seconds:.1f} s")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    table.add_column("cached or run")
    for stage, seconds, state in report.table():
        table.add_row(stage, seconds, state)
    console.print(table)
    metrics = report.champion.get("metrics", {})
    shown = ", ".join(
        f"{name} {value:.4f}" for name, value in metrics.items() if not name.endswith(("predictions", "labelled"))
    )
    console.print(f"champion: version {report.champion.get('version', 'none')}  {shown}", highlight=False)
    console.print(f"gate: {report.decision}", highlight=False)
    if report.study:
        console.print(f"study: {report.study}", highlight=False, soft_wrap=True)
    for line in report.policy:
        console.print(f"policy: {line}", highlight=False, soft_wrap=True)
    for note in report.notes:
        console.print(f"note: {note}", highlight=False)
    if not report.addresses:
        console.print("pages: none is up. `headrace up` starts Prefect, MLflow and the API, and prints their addresses")
    for name, url in report.addresses.items():
        console.print(f"{name}: {url}", highlight=False)
    for batch in report.quarantined:
        console.print(f"[red]quarantined[/red] {batch.table}: {'; '.join(batch.reasons)} ({batch.path})")
