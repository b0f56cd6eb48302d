"""`headrace evaluate`: measure a problem on its test window under both protocols; write predictions and a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.app.context import context_of
from headrace.app.output import print_json
from headrace.app.progress import RunDisplay, print_log
from headrace.cli.evaluate_classes import evaluate_classes
from headrace.cli.evaluate_links import evaluate_links
from headrace.core.errors import DeclarationError
from headrace.core.files import write_bytes, write_json
from headrace.core.settings import byte_size
from headrace.evaluate.report.holdout import HoldoutPage, render_holdout
from headrace.pipeline.context import Context
from headrace.pipeline.holdout.protocols import Holdout, HoldoutReport, measure_holdout, write_predictions
from headrace.problems.catalogue import declare
from headrace.problems.relbench.predictions import write_submission
from headrace.problems.relbench.task_problem import class_problem, link_task_folder


def evaluate_problem(
    problem: str,
    home: Path | None,
    *,
    out: Path | None,
    minutes: float | None,
    trials: int | None,
    seed: int | None,
    max_rows: int | None,
    max_memory: str | None,
    frozen_model: bool,
    as_json: bool = False,
) -> None:
    """Train with the fixed splits, score the test window, print and write the result."""
    links = link_task_folder(problem)
    if links is not None:
        evaluate_links(links, home, out=out, minutes=minutes, seed=seed, as_json=as_json)
        return
    limit = None if max_memory is None else byte_size(max_memory, where="--max-memory")
    print_log()
    of_classes = class_problem(problem)
    reference = problem if of_classes is None else declare(of_classes)
    with RunDisplay() as progress:
        context = context_of(reference, home, trials=trials, seed=seed, max_memory=limit, progress=progress)
        if of_classes is not None:
            folder = out or context.root / "evaluations" / context.problem.name
            report = evaluate_classes(_with_rows(context, max_rows), folder, minutes=minutes, as_json=as_json)
            if not as_json:
                show_holdout(report)
                print(f"wrote {folder}")
            return
        holdout = measure_holdout(_with_rows(context, max_rows), minutes=minutes, frozen_model=frozen_model)
    folder = out or context.root / "evaluations" / context.problem.name
    files = write_holdout(context, holdout, folder)
    if as_json:
        print_json({"report": holdout.report, "files": files})
        return
    show_holdout(holdout.report)
    print("\n".join(f"wrote {file}" for file in files))


def _with_rows(context: Context, max_rows: int | None) -> Context:
    """The context with another limit of training rows."""
    problem = context.problem
    if max_rows is None:
        return context
    if problem.splits is None:
        raise DeclarationError("--max-rows without declared splits", where=problem.name)
    return replace(context, problem=replace(problem, splits=replace(problem.splits, max_train_rows=max_rows)))


def write_holdout(context: Context, holdout: Holdout, folder: Path) -> list[Path]:
    """Write predictions.parquet, evaluation.json, report.html, and of a RelBench task its prediction tables."""
    folder.mkdir(parents=True, exist_ok=True)
    report, predictions = holdout.report, holdout.predictions
    write_predictions(predictions, folder / "predictions.parquet")
    write_json(folder / "evaluation.json", report.to_json())
    page = HoldoutPage(
        problem=report.problem,
        metric=report.metric,
        y=predictions["label"].to_numpy(zero_copy_only=False),
        predicted={name: predictions[name].to_numpy() for name in ("fresh", "frozen")},
        cutoffs_us=predictions["cutoff"].cast("int64").to_numpy(),
        facts=report.facts(),
        rows=report.rows(),
        notes=report.notes,
    )
    write_bytes(folder / "report.html", render_holdout(page).encode())
    files = [folder / name for name in ("predictions.parquet", "evaluation.json", "report.html")]
    return files + write_submission(context.problem, predictions, folder)


def show_holdout(report: HoldoutReport) -> None:
    """Print a row per metric, a column per protocol."""
    console = Console()
    protocols = report.protocols
    table = Table(title=f"{report.problem}: test window from {report.test_from}")
    for name in ("metric", *(f"{one.protocol} ({one.labelled} of {one.rows} rows)" for one in protocols), "constant"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for row in report.rows():
        table.add_row(*row)
    console.print(table)
    for name, value in report.facts().items():
        console.print(f"{name}: {value}", style="dim", markup=False)
    for note in report.notes:
        console.print(f"note: {note}", style="dim", markup=False)
