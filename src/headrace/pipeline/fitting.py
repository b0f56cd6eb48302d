"""From a search to a model bundle: choose and judge on the gate window, refit on everything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.clock import SECOND
from headrace.core.files import write_json
from headrace.evaluate.choice import Choice, Judged, choose
from headrace.evaluate.metrics import METRICS
from headrace.lake.keys import key_json
from headrace.lake.keys import row_keys as keys_of
from headrace.models.bundle import Bundle, reference_profile
from headrace.models.explain import explain
from headrace.models.recipe import Recipe, Settled, fit_recipe, settle
from headrace.models.space import Config
from headrace.pipeline.context import Context
from headrace.pipeline.features import read_definitions, shares_of
from headrace.pipeline.stage import Needs, Stage
from headrace.pipeline.training import CODE, TrainingSet, load_training_set


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


def _chosen(context: Context, data: TrainingSet, searched: Mapping[str, Any]) -> tuple[Config, Settled, Choice | None]:
    """What the search found, if it is better for certain than the best of what it began with; else that."""

    def settled(config: Config) -> Settled:
        return settle(
            config, data.design, data.label, data.folds, metric=context.problem.metric, seed=context.seed,
            threads=context.workers,
        )  # fmt: skip

    found, fallback = settled(searched["config"]), searched["fallback"]
    if fallback is None:
        return searched["config"], found, None
    other = settled(fallback)
    judged = [
        Judged(label=data.label[rows], found=one, fallback=two, cutoffs_us=data.cutoffs[rows])
        for (_, rows), one, two in zip(data.folds, found.predicted, other.predicted, strict=True)
    ]
    choice = choose(METRICS[context.problem.metric], judged, seed=context.seed)
    return (searched["config"], found, choice) if choice.found else (fallback, other, choice)


def row_keys(context: Context, needs: Needs, rows: NDArray[np.int64]) -> list[str]:
    """The spine keys of training rows, as JSON texts: names that hold from one training set to the next."""
    names = list(context.problem.spine_table.keys)
    spine = parquet.read(needs["synthesise"].path("spine.parquet"), columns=names).take(pa.array(rows))
    return [key_json(key) for key in keys_of(spine, names)]


EVALUATE = Stage(
    name="evaluate",
    run=_evaluate,
    needs=("ingest", "synthesise", "training-set", "search"),
    code=(*CODE, "headrace.pipeline.training"),
    parameters=lambda context: {"shares": shares_of(context)},
)


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
    code=(*CODE, "headrace.pipeline.training"),
    parameters=lambda context: {"shares": shares_of(context)},
)
