"""`headrace evaluate` for a task on classes or sets of labels: print metrics, write probabilities."""

from __future__ import annotations

from pathlib import Path

from headrace.app.output import print_json
from headrace.core.files import write_json
from headrace.pipeline.context import Context
from headrace.pipeline.holdout.classes import measure_classes
from headrace.pipeline.holdout.protocols import HoldoutReport, write_predictions


def evaluate_classes(context: Context, folder: Path, *, minutes: float | None, as_json: bool) -> HoldoutReport:
    """Train, score the test window, and write predictions.parquet and evaluation.json; print JSON where asked."""
    holdout = measure_classes(context, minutes=minutes)
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(holdout.predictions, folder / "predictions.parquet")
    write_json(folder / "evaluation.json", {**holdout.report.to_json(), "classes": list(holdout.classes)})
    if as_json:
        files = [folder / name for name in ("predictions.parquet", "evaluation.json")]
        print_json({"report": holdout.report, "classes": holdout.classes, "files": files})
    return holdout.report
