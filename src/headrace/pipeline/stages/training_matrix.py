"""The stage `training-set` without a feature store: the selected columns of the candidates' matrix, for an evaluation.

The store would compute the same values again. A model that is only measured is not served from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from headrace.core import parquet
from headrace.core.mapped import SLICE_ROWS
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.pipeline.stages.memory_check import fits_in_memory
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.table_digest import table_digest
from headrace.pipeline.stages.training_set import TRAINING, TRAINING_SET, TrainingSetOutput, joined_in_file

#: Bytes of a value: the columns, and those that are written.
_VALUE_BYTES = 16.0


def _run(context: Context, inputs: Inputs, folder: Path) -> TrainingSetOutput:
    synthesised = inputs[SYNTHESISE]
    definitions = read_definitions(inputs[SELECT].path(DEFINITIONS))
    candidates = Candidates(synthesised.folder, synthesised.path)
    label = parquet.read(synthesised.path(SPINE), columns=["label"])["label"]
    slugs = [item.slug for item in definitions]
    if fits_in_memory(context, len(label), len(slugs), value_bytes=_VALUE_BYTES):
        training = pa.table({**{slug: candidates[slug] for slug in slugs}, "label": label})
        parquet.write(training, folder / TRAINING, compression="lz4")
    else:
        training = joined_in_file(_slices(candidates, slugs, label), context.stages_folder)
        parquet.write(training, folder / TRAINING, compression="lz4", group_rows=SLICE_ROWS)
    return TrainingSetOutput(rows=training.num_rows, features=len(slugs), sha256=table_digest(training))


def _slices(candidates: Candidates, slugs: Sequence[str], label: pa.ChunkedArray) -> Iterator[pa.Table]:
    start = 0
    for part in candidates.slices(slugs, SLICE_ROWS):
        yield part.append_column("label", label.slice(start, part.num_rows))
        start += part.num_rows


TRAINING_MATRIX = Stage(name=TRAINING_SET.name, output=TrainingSetOutput, run=_run, needs=(SYNTHESISE, SELECT))
