"""`headrace predict`: score the rows of a file at their own cutoffs."""

from __future__ import annotations

from pathlib import Path

from headrace.app.context import context_of
from headrace.app.output import print_json
from headrace.core.errors import NotFoundError
from headrace.pipeline.holdout.protocols import write_predictions
from headrace.pipeline.operations.predict_rows import predict_rows
from headrace.problems.sources.addresses import as_source


def predict_file(
    problem: str, rows: Path, home: Path | None, *, out: Path, version: str | None, as_json: bool = False
) -> None:
    """Predict the rows of a CSV or Parquet file, and write them with their predictions."""
    if not rows.is_file():
        raise NotFoundError("no such file", where=str(rows), fix="give a CSV or Parquet file of keys and cutoffs")
    context = context_of(problem, home)
    result = predict_rows(context, as_source(rows).read(), version=version)
    write_predictions(result.table, out)
    if as_json:
        facts = {"problem": context.problem.name, "version": result.version, "rows": result.table.num_rows}
        print_json({**facts, "out": out, "notes": result.notes})
        return
    print(f"{out}: {result.table.num_rows} rows, predicted by version {result.version}")
    for note in result.notes:
        print(f"note: {note}")
