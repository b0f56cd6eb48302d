"""The stage `training-set`: read the training set back through the feature store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.core import parquet
from headrace.core.errors import DataError
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.production.feature_matrix import feature_matrix
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.publish import PUBLISH
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.table_digest import table_digest

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
    matrix = feature_matrix(context, selected.output.service, definitions, spine)
    if matrix.num_rows != spine.num_rows:
        raise DataError(f"the store returned {matrix.num_rows} rows for {spine.num_rows}", where=context.problem.name)
    training = matrix.append_column("label", spine["label"])
    validate_training_set(context.problem, training, context.root / "quality" / context.problem.name).require()
    parquet.write(training, folder / TRAINING, compression="lz4")
    return TrainingSetOutput(rows=training.num_rows, features=matrix.num_columns, sha256=table_digest(training))


TRAINING_SET = Stage(name="training-set", output=TrainingSetOutput, run=_run, needs=(SYNTHESISE, SELECT, PUBLISH))
