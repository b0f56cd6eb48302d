"""The stage `refit`: fit the chosen recipe on every mature row and write the model bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.core.clock import SECOND
from headrace.core.files import write_json
from headrace.models.bundle import Bundle, reference_profile
from headrace.models.explain import explain
from headrace.models.recipe import Recipe, fit_recipe
from headrace.pipeline.context import Context
from headrace.pipeline.production.feature_matrix import read_definitions
from headrace.pipeline.stage import Needs, Stage
from headrace.pipeline.stages.inputs import load_training_set, shares_of
from headrace.pipeline.stages.search import CODE


def _refit(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """The bundle: the recipe fitted on every mature row, with its explanation and its reference profile."""
    data, evaluated = load_training_set(context, needs), needs["evaluate"]
    problem, recipe = context.problem, Recipe.from_json(evaluated.facts["recipe"])
    fitted = fit_recipe(
        recipe,
        data.design,
        data.label,
        metric=problem.metric,
        seed=context.seed,
        threads=context.workers,
    )
    definitions = read_definitions(needs["select"].path("definitions.json"))
    predicted = fitted.predict(data.design, threads=context.workers)
    names = {item.slug: item.name for item in definitions}
    unit = "log-odds" if problem.label_expression.binary else problem.label_expression.column
    explanation = explain(fitted, data.design, names, folder / "shap_summary.png", seed=context.seed, unit=unit)
    write_json(folder / "shap.json", list(explanation.table))
    bundle = Bundle(
        problem=problem.name,
        service=needs["select"].facts["service"],
        definitions=definitions,
        encoder=data.encoder,
        family=recipe.family,
        fitted=fitted,
        config=evaluated.facts["config"],
        metric=problem.metric,
        metrics=evaluated.facts["metrics"],
        windows={**data.windows.describe(), "trained_until_us": needs["ingest"].facts["until_us"]},
        lead_time=_lead_time(context, needs),
        facts={
            "train_set_sha": needs["training-set"].facts["sha256"],
            "rows": len(data.label),
            "recipe": recipe.to_json(),
        },
        reference=reference_profile(data.matrix, data.label, predicted, cutoffs_us=data.cutoffs, seed=context.seed),
        gate=parquet.read(evaluated.path("gate.parquet")).drop_columns(["row"]),
    )
    return {"bundle": bundle.save(folder / "bundle"), "family": bundle.family, "rows": len(data.label)}


def _lead_time(context: Context, needs: Needs) -> dict[str, float]:
    """The middle 98 % of (event time - cutoff) in seconds: a request outside it is unlike what was learnt from."""
    time = context.problem.spine_table.time
    assert time is not None  # a Problem without it cannot be declared
    spine = parquet.read(needs["synthesise"].path("spine.parquet"), columns=[time, "cutoff"])
    span = spine[time].cast(pa.int64()).to_numpy() - spine["cutoff"].to_numpy()
    low, high = np.quantile(span / SECOND, [0.01, 0.99])
    return {"low_s": float(low), "high_s": float(high)}


REFIT = Stage(
    name="refit",
    run=_refit,
    needs=("ingest", "synthesise", "select", "training-set", "evaluate"),
    code=(*CODE, "headrace.pipeline.stages.inputs"),
    parameters=lambda context: {"shares": shares_of(context)},
)
