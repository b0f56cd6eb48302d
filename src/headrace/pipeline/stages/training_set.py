"""The stage `training-set`: read the training set back through the feature store.

Where it does not fit below the memory limit, it is read in slices of rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from headrace.core import parquet
from headrace.core.errors import DataError
from headrace.core.mapped import SLICE_ROWS, mapped_table
from headrace.core.memory import resident_bytes
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.production.feature_matrix import feature_matrix
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.memory_check import fits_in_memory
from headrace.pipeline.stages.publish import PUBLISH
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.table_digest import table_digest
from headrace.synthesis.language.definitions import Definition

#: Bytes of a value while the store computes it: Feast's rows, their finished columns, and the frame that is validated.
_VALUE_BYTES = 30.0
#: Fewest rows that are read at once: every slice reads the tables again.
_LEAST_ROWS = 20_000
#: The features by slug, and `label`, in the order of the spine's rows.
TRAINING = "training.parquet"


@dataclass(frozen=True, kw_only=True)
class TrainingSetOutput:
    """rows, features: its shape. sha256: of its values."""

    rows: int
    features: int
    sha256: str


def _run(context: Context, inputs: Inputs, folder: Path) -> TrainingSetOutput:
    from headrace.quality.check import validate_training_set

    selected = inputs[SELECT]
    definitions = read_definitions(selected.path(DEFINITIONS))
    spine = parquet.read(inputs[SYNTHESISE].path(SPINE))
    rows = slice_rows(context, spine.num_rows, len(definitions))
    parts = (
        _rows(context, selected.output.service, definitions, spine.slice(start, rows))
        for start in range(0, max(spine.num_rows, 1), rows)
    )
    in_files = rows < spine.num_rows
    training = joined_in_file(parts, context.stages_folder) if in_files else next(parts)
    quality = context.root / "quality" / context.problem.name
    at_once = training.num_columns * rows // max(spine.num_rows, 1)  # as many values as a slice has
    validate_training_set(context.problem, training, quality, columns=max(at_once, 1)).require()
    parquet.write(training, folder / TRAINING, compression="lz4", group_rows=SLICE_ROWS if in_files else None)
    return TrainingSetOutput(rows=training.num_rows, features=len(definitions), sha256=table_digest(training))


def slice_rows(context: Context, rows: int, features: int) -> int:
    """How many rows of the spine are read at once: all of them, unless they do not fit below the memory limit."""
    if fits_in_memory(context, rows, features, value_bytes=_VALUE_BYTES):
        return max(rows, 1)
    assert context.max_memory is not None  # without a limit, everything fits
    free = max(context.max_memory - resident_bytes(), 0)
    return max(int(free / (_VALUE_BYTES * features)), _LEAST_ROWS)


def joined_in_file(parts: Iterator[pa.Table], folder: Path) -> pa.Table:
    """One table of parts, in a file that is mapped into memory."""
    first = next(parts)
    return mapped_table(folder, first.schema, itertools.chain([first], (part.cast(first.schema) for part in parts)))


def _rows(context: Context, service: str, definitions: tuple[Definition, ...], spine: pa.Table) -> pa.Table:
    """The training rows of some rows of the spine: features by slug, and `label`."""
    matrix = feature_matrix(context, service, definitions, spine)
    if matrix.num_rows != spine.num_rows:
        raise DataError(f"the store returned {matrix.num_rows} rows for {spine.num_rows}", where=context.problem.name)
    return matrix.append_column("label", spine["label"])


TRAINING_SET = Stage(name="training-set", output=TrainingSetOutput, run=_run, needs=(SYNTHESISE, SELECT, PUBLISH))
