"""What several stages read of earlier ones: the snapshot, the windows, the training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.evaluate.splits import Fold, Windows, known_before_rows, time_folds, time_windows
from headrace.lake.store import Lake, Snapshot
from headrace.models.design import Design, Encoder
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Done, Needs


def snapshot_of(context: Context, ingested: Done) -> Snapshot:
    """The history that training sees."""
    return Lake(context.root, context.problem.name).snapshot(ingested.facts["until_us"])


def windows_of(context: Context, needs: Needs) -> Windows:
    """The train, tune and gate windows of the training rows."""
    spine = parquet.read(needs["synthesise"].path("spine.parquet"), columns=["cutoff", "label_known", "label"])
    return time_windows(
        spine["cutoff"].to_numpy(),
        spine["label_known"].to_numpy(),
        needs["ingest"].facts["until_us"],
        labels=spine["label"].to_numpy() if context.problem.label_expression.binary else None,
        tune_share=context.problem.tune_share,
        gate_share=context.problem.gate_share,
    )


def shares_of(context: Context) -> list[float]:
    """What the windows depend on besides the rows: a parameter of each stage that reads them."""
    return [context.problem.tune_share, context.problem.gate_share]


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The training rows in memory: matrix [n, d] by slug, its design, label [n], cutoffs [n], and the windows.

    folds: of the rows before the gate, the last one is (train, tune). before_gate: all that could be learnt from when
    the gate window begins.
    """

    matrix: pa.Table
    encoder: Encoder
    design: Design
    label: NDArray[np.float64]
    cutoffs: NDArray[np.int64]
    windows: Windows
    folds: tuple[Fold, ...]
    before_gate: NDArray[np.int64]


def load_training_set(context: Context, needs: Needs) -> TrainingSet:
    """Read what the training-set stage has written, with the windows and folds of its rows."""
    table = parquet.read(needs["training-set"].path("training.parquet"))
    spine = parquet.read(needs["synthesise"].path("spine.parquet"), columns=["cutoff", "label_known"])
    matrix = table.drop_columns(["label"])
    encoder = Encoder.fit(matrix)
    label, windows = table["label"].to_numpy(), windows_of(context, needs)
    cutoffs, known = spine["cutoff"].to_numpy(), spine["label_known"].to_numpy()
    classes = label if context.problem.label_expression.binary else None
    return TrainingSet(
        matrix=matrix,
        encoder=encoder,
        design=encoder.encode(matrix),
        label=label,
        cutoffs=cutoffs,
        windows=windows,
        folds=time_folds(cutoffs, known, windows, labels=classes),
        before_gate=known_before_rows(cutoffs, known, windows.gate_start_us),
    )
