"""The stage `refit`: fit the chosen recipe on every mature row and write the model bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.core.clock import SECOND
from headrace.models.bundle import Bundle, reference_profile
from headrace.models.recipe import fit_recipe
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.evaluate import EVALUATE, GATE
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.training_rows import load_training_rows
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.stages.windows import window_shares

#: The folder of the model bundle.
BUNDLE = "bundle"


@dataclass(frozen=True, kw_only=True)
class RefitOutput:
    """bundle: the digest of its manifest. family: of the model. rows: that it was fitted on."""

    bundle: str
    family: str
    rows: int


def _run(context: Context, inputs: Inputs, folder: Path) -> RefitOutput:
    data, problem = load_training_rows(context, inputs), context.problem
    evaluated, selected = inputs[EVALUATE], inputs[SELECT]
    recipe = evaluated.output.recipe
    fitted = fit_recipe(
        recipe,
        data.design,
        data.label,
        metric=problem.metric,
        seed=context.seed,
        threads=context.workers,
    )
    predicted = fitted.predict(data.design, threads=context.workers)
    gate = parquet.read(evaluated.path(GATE))
    bundle = Bundle(
        problem=problem.name,
        service=selected.output.service,
        definitions=read_definitions(selected.path(DEFINITIONS)),
        encoder=data.encoder,
        family=recipe.family,
        fitted=fitted,
        config=evaluated.output.config,
        metric=problem.metric,
        metrics=evaluated.output.metrics,
        windows={**data.windows.describe(), "trained_until_us": inputs[INGEST].output.until_us},
        lead_time=_lead_time(context, inputs),
        facts={
            "train_set_sha": inputs[TRAINING_SET].output.sha256,
            "rows": len(data.label),
            "recipe": recipe.to_json(),
        },
        reference=reference_profile(
            data.matrix,
            data.label,
            predicted,
            cutoffs_us=data.cutoffs,
            join_keys=parquet.read(inputs[SYNTHESISE].path(SPINE), columns=list(problem.join_keys)),
            entities={entity.name: entity.join_keys for entity in problem.all_entities},
            seed=context.seed,
        ),
        gate=gate.drop_columns(["row"]),
        held_out=_held_out(context, inputs, data.matrix, gate),
    )
    return RefitOutput(bundle=bundle.save(folder / BUNDLE), family=bundle.family, rows=len(data.label))


def _held_out(context: Context, inputs: Inputs, matrix: pa.Table, gate: pa.Table) -> pa.Table:
    """A sample of the gate's rows with their features and entities, and the predictions of the fit before the gate."""
    problem, rows = context.problem, gate["row"]
    return reference_profile(
        matrix.take(rows),
        gate["label"].to_numpy(),
        gate["prediction"].to_numpy(),
        cutoffs_us=gate["cutoff"].to_numpy(),
        join_keys=parquet.read(inputs[SYNTHESISE].path(SPINE), columns=list(problem.join_keys)).take(rows),
        entities={entity.name: entity.join_keys for entity in problem.all_entities},
        seed=context.seed,
    )


def _lead_time(context: Context, inputs: Inputs) -> dict[str, float]:
    """The middle 98 % of (event time - cutoff) in seconds; a request outside it is unlike the training rows."""
    time = context.problem.spine_table.time
    assert time is not None  # a Problem without it cannot be declared
    spine = parquet.read(inputs[SYNTHESISE].path(SPINE), columns=[time, "cutoff"])
    span = spine[time].cast(pa.int64()).to_numpy() - spine["cutoff"].to_numpy()
    low, high = np.quantile(span / SECOND, [0.01, 0.99])
    return {"low_s": float(low), "high_s": float(high)}


REFIT = Stage(
    name="refit",
    output=RefitOutput,
    run=_run,
    needs=(INGEST, SYNTHESISE, SELECT, TRAINING_SET, EVALUATE),
    parameters=lambda context: {"shares": window_shares(context)},
)
