"""The stage `evaluate`: choose the configuration on the folds, and measure it on the gate window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.files import write_json
from headrace.evaluate.choice import Choice, FoldPredictions, choose
from headrace.evaluate.metrics import METRICS, metrics_beside
from headrace.lake.keys import key_json, row_keys
from headrace.models.recipe import Recipe, RecipeResult, fit_recipe, fit_rounds_of_best_form
from headrace.models.space import Config
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.ensemble import Candidate, described, select_ensemble
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.search import SEARCH, SearchOutput, read_trials
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.training_rows import TrainingRows, load_training_rows
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.stages.windows import window_shares

#: Predictions for the gate's rows: row number, spine key as JSON text, cutoff, label, prediction.
GATE = "gate.parquet"
#: The members of the ensemble that was selected, and whether it is used; where the problem asks for one.
MEMBERS = "ensemble.json"


@dataclass(frozen=True, kw_only=True)
class EvaluateOutput:
    """The chosen recipe and its metrics.

    Attributes:
        metrics: `tune_<metric>` over the folds, `gate_<metric>` for every metric on the gate window.
        baseline: the metric's best constant prediction, from the rows before the gate.
        config: as the study names it.
        recipe: the family, its configuration and its rounds.
        rounds: of the fit before the gate.
        choice: the comparison with the fallback; None where there was none.
        windows: of the rows.
    """

    metrics: Mapping[str, float]
    baseline: float
    config: Mapping[str, Any]
    recipe: Recipe
    rounds: int | None
    choice: Choice | None
    windows: Mapping[str, str | int]


def _run(context: Context, inputs: Inputs, folder: Path) -> EvaluateOutput:
    """Choose the recipe on the folds and measure it."""
    data = load_training_rows(context, inputs)
    config, result, choice = _choose(context, data, inputs[SEARCH].output)
    if context.problem.ensemble is not None:
        config, result, choice = _ensemble(
            context, inputs, folder, data, Candidate(config=config, result=result), choice
        )
    tuned = -METRICS[context.problem.metric].sign * result.loss
    return measure_recipe(
        context, inputs, folder, data, recipe=result.recipe, config=config, tuned=tuned, choice=choice
    )


def measure_recipe(
    context: Context,
    inputs: Inputs,
    folder: Path,
    data: TrainingRows,
    *,
    recipe: Recipe,
    config: Mapping[str, Any],
    tuned: float | None = None,
    choice: Choice | None = None,
) -> EvaluateOutput:
    """Measure a recipe on the gate window, fitted on all rows before it, and write its predictions there.

    Args:
        context: of the run.
        inputs: of the stage.
        folder: of the stage.
        data: the training rows.
        recipe: what is fitted.
        config: as the study names it.
        tuned: the problem's metric over the folds; None where nothing was tuned.
        choice: the comparison with the fallback.
    """
    problem, windows = context.problem, data.windows
    fitted = fit_recipe(
        recipe,
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
        "key": _spine_keys(context, inputs, windows.gate),
        "cutoff": data.cutoffs[windows.gate],
        "label": label,
        "prediction": predicted,
    }
    parquet.write(pa.table(gate), folder / GATE)
    metrics = {
        f"gate_{name}": other.value(label, predicted) for name, other in metrics_beside(problem.metric, label).items()
    }
    return EvaluateOutput(
        metrics=metrics if tuned is None else {f"tune_{problem.metric}": tuned, **metrics},
        baseline=float(METRICS[problem.metric].constant(data.label[data.before_gate])),
        config=config,
        recipe=recipe,
        rounds=fitted.rounds,
        choice=choice,
        windows=windows.describe(),
    )


def _choose(context: Context, data: TrainingRows, searched: SearchOutput) -> tuple[Config, RecipeResult, Choice | None]:
    """The incumbent, if it is significantly better than the best config that the search began with; else that one."""

    config = dict(searched.config)
    result = _result_of(context, data, config)
    if searched.fallback is None:
        return config, result, None
    fallback = dict(searched.fallback)
    fallback_result = _result_of(context, data, fallback)
    folds = [
        FoldPredictions(label=data.label[rows], candidate=candidate, fallback=default, cutoffs_us=data.cutoffs[rows])
        for (_, rows), candidate, default in zip(data.folds, result.predicted, fallback_result.predicted, strict=True)
    ]
    choice = choose(METRICS[context.problem.metric], folds, seed=context.seed)
    return (config, result, choice) if choice.candidate_better else (fallback, fallback_result, choice)


def _result_of(context: Context, data: TrainingRows, config: Config) -> RecipeResult:
    return fit_rounds_of_best_form(
        config, data.design, data.label, data.folds, metric=context.problem.metric, seed=context.seed,
        threads=context.workers,
    )  # fmt: skip


def _ensemble(
    context: Context, inputs: Inputs, folder: Path, data: TrainingRows, single: Candidate, choice: Choice | None
) -> tuple[Config, RecipeResult, Choice | None]:
    """The ensemble and its heaviest member's config, if it is significantly better than the single configuration."""
    problem = context.problem
    assert problem.ensemble is not None
    selected = select_ensemble(
        problem.ensemble, data, read_trials(inputs[SEARCH]), single, lambda config: _result_of(context, data, config),
        metric=METRICS[problem.metric], seed=context.seed,
    )  # fmt: skip
    write_json(folder / MEMBERS, described(selected))
    if selected is None or not selected.choice.candidate_better:
        return single.config, single.result, choice
    return selected.configs[0], selected.result, selected.choice


def _spine_keys(context: Context, inputs: Inputs, rows: NDArray[Any]) -> list[str]:
    """The spine keys of training rows, as JSON texts: names that hold from one training set to the next."""
    names = list(context.problem.spine_table.keys)
    spine = parquet.read(inputs[SYNTHESISE].path(SPINE), columns=names).take(pa.array(rows))
    return [key_json(key) for key in row_keys(spine, names)]


EVALUATE = Stage(
    name="evaluate",
    output=EvaluateOutput,
    run=_run,
    needs=(INGEST, SYNTHESISE, TRAINING_SET, SEARCH),
    parameters=lambda context: {"shares": window_shares(context), "ensemble": context.problem.ensemble},
)
