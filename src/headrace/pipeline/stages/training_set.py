"""The stage `training-set`: read the training set back through the feature store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.core import parquet
from headrace.core.errors import DataError
from headrace.pipeline.context import Context
from headrace.pipeline.production.feature_matrix import content_digest, finished_matrix, read_definitions
from headrace.pipeline.stage import Needs, Stage


def _training_set(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    from headrace.quality.check import validate_training_set

    selected = needs["select"]
    definitions = read_definitions(selected.path("definitions.json"))
    spine = parquet.read(needs["synthesise"].path("spine.parquet"))
    matrix = finished_matrix(context, selected.facts["service"], definitions, spine)
    if matrix.num_rows != spine.num_rows:
        raise DataError(f"the store returned {matrix.num_rows} rows for {spine.num_rows}", where=context.problem.name)
    training = matrix.append_column("label", spine["label"])
    validate_training_set(context.problem, training, context.root / "quality" / context.problem.name).require()
    parquet.write(training, folder / "training.parquet", compression="lz4")
    return {"rows": training.num_rows, "features": matrix.num_columns, "sha256": content_digest(training)}


TRAINING_SET = Stage(
    name="training-set",
    run=_training_set,
    needs=("synthesise", "select", "publish"),
    code=("headrace.store", "headrace.synthesis", "headrace.lake", "headrace.quality"),
)
