"""`headrace evaluate` for a recommendation task of a RelBench folder: print metrics, write lists of items."""

from __future__ import annotations

import logging
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.app.context import settings_of
from headrace.app.output import print_json
from headrace.app.progress import print_log
from headrace.core.files import write_json
from headrace.recommendation.holdout import LinkReport, measure_links, write_links

LOG = logging.getLogger("headrace.progress")


def evaluate_links(
    folder: Path, home: Path | None, *, out: Path | None, minutes: float | None, seed: int | None, as_json: bool
) -> None:
    """Recommend for the test rows of the task in this folder, print and write the result."""
    print_log()
    chosen = settings_of(home)
    holdout = measure_links(folder, minutes=minutes, seed=seed or 0, threads=chosen.workers, progress=LOG.info)
    name = f"{holdout.task.dataset.name}_{holdout.task.manifest.name}"
    place = out or chosen.root / "evaluations" / name.replace("-", "_")
    files = write_links(holdout, place)
    write_json(place / "evaluation.json", holdout.report.to_json())
    files.append(place / "evaluation.json")
    if as_json:
        print_json({"report": holdout.report, "files": files})
        return
    show_links(holdout.report)
    print("\n".join(f"wrote {file}" for file in files))


def show_links(report: LinkReport) -> None:
    """Print a row per metric."""
    console = Console()
    first = report.protocols[0]
    table = Table(title=f"{report.problem}: test rows from {report.test_from}, lists of {report.k}")
    for name in ("metric", f"fresh and frozen ({first['labelled']} of {first['rows']} rows)", "most popular"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name, value in first["metrics"].items():
        table.add_row(name, f"{value:.4f}", f"{report.constant.get(name, 0.0):.4f}")
    console.print(table)
    facts = {
        "model": f"{report.family}, {report.features} features, {report.train_rows} rows",
        "on the tune rows": ", ".join(f"{name} {value:.4f}" for name, value in report.metrics.items()),
        "interactions": ", ".join(report.kinds),
        "wall clock": ", ".join(f"{name} {value:.0f} s" for name, value in report.seconds.items()),
    }
    for name, value in facts.items():
        console.print(f"{name}: {value}", style="dim", markup=False)
