"""The train, tune and gate windows of the training rows, for the stages that select, search and evaluate."""

from __future__ import annotations

from headrace.core import parquet
from headrace.evaluate.splits import Windows, time_windows
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE


def training_windows(context: Context, inputs: Inputs) -> Windows:
    """Split the training rows by cutoff; a row teaches only if its label was known before the next window starts."""
    path = inputs[SYNTHESISE].path(SPINE)
    spine = parquet.read(path, columns=["cutoff", "label_known", "label"])
    return time_windows(
        spine["cutoff"].to_numpy(),
        spine["label_known"].to_numpy(),
        inputs[INGEST].output.until_us,
        labels=spine["label"].to_numpy() if context.problem.label_expression.binary else None,
        tune_share=context.problem.tune_share,
        gate_share=context.problem.gate_share,
    )


def window_shares(context: Context) -> list[float]:
    """What the windows depend on besides the rows: a parameter of each stage that reads them."""
    return [context.problem.tune_share, context.problem.gate_share]
