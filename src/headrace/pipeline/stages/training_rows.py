"""The training set with its design, its windows and its folds, for the stages that fit models.

It is in memory, or, where it does not fit below the memory limit, in files that are mapped into memory. The values are
the same, and so are the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.mapped import SLICE_ROWS, mapped_table
from headrace.evaluate.splits import Fold, Windows
from headrace.models.design import Design, Encoder
from headrace.models.families import category_limit
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs
from headrace.pipeline.stages.memory_check import fits_in_memory, require_fit_memory
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.training_set import TRAINING, TRAINING_SET
from headrace.pipeline.stages.windows import training_folds, training_windows


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """The training rows.

    Attributes:
        matrix: [n, d], columns by slug.
        encoder: fitted on `matrix`.
        design: [n, d], the matrix encoded.
        label: [n].
        cutoffs: [n], us.
        windows: train, tune and gate.
        folds: of the rows before the gate. The last one is (train, tune).
        before_gate: the rows whose label was known when the gate window begins.
    """

    matrix: pa.Table
    encoder: Encoder
    design: Design
    label: NDArray[np.float64]
    cutoffs: NDArray[np.int64]
    windows: Windows
    folds: tuple[Fold, ...]
    before_gate: NDArray[np.int64]


def load_training_rows(context: Context, inputs: Inputs, families: Sequence[str] | None = None) -> TrainingRows:
    """Read what the stage `training-set` has written, with the windows and folds of its rows.

    Category lists are as long as all families can use: those of the problem, or the given ones.

    Raises:
        DataError: A family cannot fit the rows below the memory limit.
    """
    families = context.problem.families if families is None else families
    size = inputs[TRAINING_SET].output
    if not fits_in_memory(context, size.rows, size.features):
        require_fit_memory(context, size.rows, size.features, families)
    matrix, label = read_training_set(context, inputs)
    spine = parquet.read(inputs[SYNTHESISE].path(SPINE), columns=["cutoff"])
    encoder = Encoder.fit(matrix, max_categories=category_limit(families))
    windows = training_windows(context, inputs)
    folds, before_gate = training_folds(context, inputs, windows)
    return TrainingRows(
        matrix=matrix,
        encoder=encoder,
        design=training_design(context, encoder, matrix),
        label=label,
        cutoffs=spine["cutoff"].to_numpy(),
        windows=windows,
        folds=folds,
        before_gate=before_gate,
    )


def read_training_set(context: Context, inputs: Inputs) -> tuple[pa.Table, NDArray[np.float64]]:
    """Read the features [n, d] and labels [n] of the training set: in memory where they fit, else in a mapped file."""
    size, path = inputs[TRAINING_SET].output, inputs[TRAINING_SET].path(TRAINING)
    if fits_in_memory(context, size.rows, size.features):
        table = parquet.read(path)
    else:
        file = parquet.ParquetFile(path)
        table = mapped_table(context.stages_folder, file.schema, file.batches(SLICE_ROWS))
    return table.drop_columns(["label"]), table["label"].to_numpy()


def training_design(context: Context, encoder: Encoder, matrix: pa.Table) -> Design:
    """Encode the features of the training set [n, d]: in memory where it fits, else in a mapped file."""
    if fits_in_memory(context, matrix.num_rows, matrix.num_columns):
        return encoder.encode(matrix)
    return encoder.encode_in_file(matrix, context.stages_folder)
