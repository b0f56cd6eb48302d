"""The stage `training-set` without a feature store: the selected columns of the candidates' matrix, for an evaluation.

The store would compute the same values again. A model that is only measured is not served from it.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from headrace.core import parquet
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.table_digest import table_digest
from headrace.pipeline.stages.training_set import TRAINING, TRAINING_SET, TrainingSetOutput


def _run(context: Context, inputs: Inputs, folder: Path) -> TrainingSetOutput:
    synthesised = inputs[SYNTHESISE]
    definitions = read_definitions(inputs[SELECT].path(DEFINITIONS))
    candidates = Candidates(synthesised.folder, synthesised.path)
    columns = {item.slug: candidates[item.slug] for item in definitions}
    label = parquet.read(synthesised.path(SPINE), columns=["label"])["label"]
    training = pa.table({**columns, "label": label})
    parquet.write(training, folder / TRAINING, compression="lz4")
    return TrainingSetOutput(rows=training.num_rows, features=len(columns), sha256=table_digest(training))


TRAINING_MATRIX = Stage(name=TRAINING_SET.name, output=TrainingSetOutput, run=_run, needs=(SYNTHESISE, SELECT))
