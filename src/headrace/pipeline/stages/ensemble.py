"""Select an ensemble of a study's configurations: members of several families, on the folds before the gate window.

Ensemble selection (Caruana et al., 2004) is that of `headrace.automl`. It adds members to the best single
configuration, on out-of-fold predictions in time order, and admits only those with which a row is still predicted
within the declared slowdown. The ensemble replaces the single configuration where it is significantly better on the
folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.automl.ensemble.selection import Selection, select
from headrace.evaluate.choice import Choice, FoldPredictions, choose
from headrace.evaluate.metrics import Metric
from headrace.models.ensemble import ENSEMBLE, from_raw, pooled, raw_output
from headrace.models.families import FAMILIES
from headrace.models.recipe import Recipe, RecipeResult
from headrace.models.row_cost import family_us, row_us
from headrace.models.space import Config
from headrace.pipeline.stages.training_rows import TrainingRows
from headrace.schema import Ensemble
from headrace.search.trial import Trial

#: Additions of the selection.
_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A configuration as the study names it, and its results on the folds."""

    config: Config
    result: RecipeResult


@dataclass(frozen=True, kw_only=True)
class Selected:
    """A selected ensemble.

    Attributes:
        result: Its recipe, loss and out-of-fold predictions.
        choice: The comparison with the single configuration.
        configs: Config of each member, the heaviest first.
    """

    result: RecipeResult
    choice: Choice
    configs: tuple[Config, ...]


def library(trials: Sequence[Trial], single: Config, size: int) -> list[Config]:
    """Return the configs that members are selected from: the single one, the best of each family, then the best.

    Args:
        trials: All trials of the study.
        single: Config of the best single configuration.
        size: Largest number.
    """
    complete = sorted(
        (trial for trial in trials if trial.status == "ok" and trial.loss is not None),
        key=lambda trial: (trial.loss, trial.number),
    )
    of_family: dict[str, Config] = {}
    for trial in complete:
        of_family.setdefault(str(trial.config["family"]), trial.config)
    ordered = [single, *of_family.values(), *(trial.config for trial in complete)]
    distinct = [config for number, config in enumerate(ordered) if config not in ordered[:number]]
    families = dict.fromkeys(str(config["family"]) for config in distinct)
    extensions = [name for name in families if name not in FAMILIES.built_in]
    return [config for config in distinct if config["family"] not in extensions[1:]][:size]  # a model carries one


def select_ensemble(
    declared: Ensemble,
    data: TrainingRows,
    trials: Sequence[Trial],
    single: Candidate,
    result_of: Callable[[Config], RecipeResult],
    *,
    metric: Metric,
    seed: int,
) -> Selected | None:
    """Select an ensemble around the best single configuration.

    Args:
        declared: Size and cost.
        data: Training rows and folds.
        trials: All trials of the study.
        single: The best single configuration.
        result_of: Evaluates a config on the folds.
        metric: The problem's metric.
        seed: Of the comparison.

    Returns:
        The ensemble; None where one configuration alone is best.
    """
    configs = library(trials, single.config, declared.size)
    candidates = [
        single if config == single.config else Candidate(config=config, result=result_of(config)) for config in configs
    ]
    limit_us = declared.slowdown * row_us([single.result.recipe.family]) - row_us([])
    selection = _select(candidates, data, metric, limit_us)
    chosen = sorted(
        ((float(weight), number) for number, weight in enumerate(selection.weights) if weight > 0), reverse=True
    )
    if len(chosen) < 2:
        return None
    result = _combined(candidates, chosen, data, metric)
    folds = [
        FoldPredictions(label=data.label[rows], candidate=ours, fallback=alone, cutoffs_us=data.cutoffs[rows])
        for (_, rows), ours, alone in zip(data.folds, result.predicted, single.result.predicted, strict=True)
    ]
    choice = choose(metric, folds, seed=seed)
    return Selected(result=result, choice=choice, configs=tuple(candidates[number].config for _, number in chosen))


def _select(candidates: Sequence[Candidate], data: TrainingRows, metric: Metric, limit_us: float) -> Selection:
    """Run ensemble selection on the raw outputs of all folds, within a cost; the single configuration comes first."""
    raw = np.stack(
        [
            np.concatenate([raw_output(p, binary=metric.binary) for p in candidate.result.predicted])
            for candidate in candidates
        ]
    )
    ends = np.cumsum([len(rows) for _, rows in data.folds])
    labels = [data.label[rows] for _, rows in data.folds]

    def loss(outputs: Any) -> float:
        parts = np.split(from_raw(outputs[:, 0], binary=metric.binary), ends[:-1])
        return float(np.mean([metric.loss(label, part) for label, part in zip(labels, parts, strict=True)]))

    costs = [family_us(candidate.result.recipe.family) for candidate in candidates]
    return select(raw[:, :, None], loss, steps=_STEPS, costs=costs, limit=limit_us, first=0)


def _combined(
    candidates: Sequence[Candidate], chosen: Sequence[tuple[float, int]], data: TrainingRows, metric: Metric
) -> RecipeResult:
    members = tuple((weight, candidates[number].result.recipe) for weight, number in chosen)
    weights = [weight for weight, _ in chosen]
    predicted = tuple(
        pooled([candidates[number].result.predicted[fold] for _, number in chosen], weights, binary=metric.binary)
        for fold in range(len(data.folds))
    )
    losses = [metric.loss(data.label[rows], p) for (_, rows), p in zip(data.folds, predicted, strict=True)]
    rows = float(np.mean([len(train) for train, _ in data.folds]))
    recipe = Recipe(family=ENSEMBLE, config={}, rounds=None, rows=rows, members=members)
    return RecipeResult(recipe=recipe, loss=float(np.mean(losses)), predicted=predicted)


def described(selected: Selected | None) -> Mapping[str, Any]:
    """Return an ensemble as people read it: its members, and the comparison with the single configuration."""
    if selected is None:
        return {"members": [], "reason": "one configuration alone is best"}
    recipe = selected.result.recipe
    members = [
        {"weight": round(weight, 3), "family": one.family, "rounds": one.rounds, "config": config}
        for (weight, one), config in zip(recipe.members, selected.configs, strict=True)
    ]
    return {"members": members, "row_us": row_us([one.family for _, one in recipe.members]),
            "used": selected.choice.candidate_better, "reason": selected.choice.reason}  # fmt: skip
