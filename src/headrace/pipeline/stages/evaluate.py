"""The stage `evaluate`: choose the configuration and measure it on the gate window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.evaluate.choice import Choice, FoldPredictions, choose
from headrace.evaluate.metrics import METRICS
from headrace.lake.keys import key_json
from headrace.lake.keys import row_keys as keys_of
from headrace.models.recipe import RecipeResult, fit_recipe, fit_rounds
from headrace.models.space import Config
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Needs, Stage
from headrace.pipeline.stages.inputs import TrainingSet, load_training_set, shares_of
from headrace.pipeline.stages.search import CODE


def _evaluate(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """The recipe on the gate window, fitted on all rows before it. Chooses it, and finds its rounds, on the folds."""
    data, searched, problem = load_training_set(context, needs), needs["search"], context.problem
    windows, metric = data.windows, METRICS[problem.metric]
    config, settled, choice = _chosen(context, data, searched.facts)
    fitted = fit_recipe(
        settled.recipe,
        data.design,
        data.label,
        metric=problem.metric,
        rows=data.before_gate,
        seed=context.seed,
        threads=context.workers,
    )
    predicted = fitted.predict(data.design.rows(windows.gate), threads=context.workers)
    label = data.label[windows.gate]
    gate = {
        "row": windows.gate,
        "key": row_keys(context, needs, windows.gate),
        "cutoff": data.cutoffs[windows.gate],
        "label": label,
        "prediction": predicted,
    }
    parquet.write(pa.table(gate), folder / "gate.parquet")
    metrics = {
        f"gate_{name}": other.value(label, predicted)
        for name, other in METRICS.items()
        if other.binary == problem.label_expression.binary
    }
    return {
        "metrics": {f"tune_{problem.metric}": -metric.sign * settled.loss, **metrics},
        "baseline": float(metric.constant(data.label[data.before_gate])),
        "config": config,
        "recipe": settled.recipe.to_json(),
        "rounds": fitted.rounds,
        "choice": None if choice is None else choice.to_json(),
        "windows": windows.describe(),
    }


def _chosen(
    context: Context, data: TrainingSet, searched: Mapping[str, Any]
) -> tuple[Config, RecipeResult, Choice | None]:
    """What the search found, if it is better for certain than the best of what it began with; else that."""

    def settled(config: Config) -> RecipeResult:
        return fit_rounds(
            config, data.design, data.label, data.folds, metric=context.problem.metric, seed=context.seed,
            threads=context.workers,
        )  # fmt: skip

    result, fallback = settled(searched["config"]), searched["fallback"]
    if fallback is None:
        return searched["config"], result, None
    fallback_result = settled(fallback)
    folds = [
        FoldPredictions(label=data.label[rows], candidate=candidate, fallback=default, cutoffs_us=data.cutoffs[rows])
        for (_, rows), candidate, default in zip(data.folds, result.predicted, fallback_result.predicted, strict=True)
    ]
    choice = choose(METRICS[context.problem.metric], folds, seed=context.seed)
    return (searched["config"], result, choice) if choice.candidate_better else (fallback, fallback_result, choice)


def row_keys(context: Context, needs: Needs, rows: NDArray[np.int64]) -> list[str]:
    """The spine keys of training rows, as JSON texts: names that hold from one training set to the next."""
    names = list(context.problem.spine_table.keys)
    spine = parquet.read(needs["synthesise"].path("spine.parquet"), columns=names).take(pa.array(rows))
    return [key_json(key) for key in keys_of(spine, names)]


EVALUATE = Stage(
    name="evaluate",
    run=_evaluate,
    needs=("ingest", "synthesise", "training-set", "search"),
    code=(*CODE, "headrace.pipeline.stages.inputs"),
    parameters=lambda context: {"shares": shares_of(context)},
)
