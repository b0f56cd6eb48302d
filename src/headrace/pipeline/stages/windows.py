"""The train, tune and gate windows of the training rows, for the stages that select, search and evaluate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.evaluate.fixed_splits import before_gate, fixed_folds, fixed_windows
from headrace.evaluate.splits import Fold, Rows, Windows, known_before_rows, time_folds, time_windows
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.used_rows import split_values


def training_windows(context: Context, inputs: Inputs) -> Windows:
    """Split the training rows as the problem declares, or by shares in time."""
    problem, spine = context.problem, _spine(context, inputs)
    cutoffs, known = spine["cutoff"].to_numpy(), spine["label_known"].to_numpy()
    labels = spine["label"].to_numpy() if problem.label_expression.binary else None
    if problem.splits is not None:
        return fixed_windows(problem.splits, cutoffs, known, values=split_values(problem, spine), labels=labels)
    return time_windows(
        cutoffs,
        known,
        inputs[INGEST].output.until_us,
        labels=labels,
        tune_share=problem.tune_share,
        gate_share=problem.gate_share,
    )


def training_folds(context: Context, inputs: Inputs, windows: Windows) -> tuple[tuple[Fold, ...], Rows]:
    """Build the folds of the rows before the gate window, and return those rows."""
    problem, spine = context.problem, _spine(context, inputs)
    cutoffs, known = spine["cutoff"].to_numpy(), spine["label_known"].to_numpy()
    labels = np.asarray(spine["label"].to_numpy()) if problem.label_expression.binary else None
    if problem.splits is not None:
        folds = fixed_folds(cutoffs, known, windows, labels=labels)
        return folds, before_gate(problem.splits, cutoffs, known, windows)
    folds = time_folds(cutoffs, known, windows, labels=labels)
    return folds, known_before_rows(cutoffs, known, windows.gate_start_us)


def _spine(context: Context, inputs: Inputs) -> pa.Table:
    splits = context.problem.splits
    column = [splits.column] if splits is not None and splits.column is not None else []
    return parquet.read(inputs[SYNTHESISE].path(SPINE), columns=["cutoff", "label_known", "label", *column])


def window_shares(context: Context) -> list[Any]:
    """What the windows depend on besides the rows: a parameter of each stage that reads them."""
    return [context.problem.tune_share, context.problem.gate_share]
