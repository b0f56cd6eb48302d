"""A recipe: a study's configuration with its number of boosting rounds, from folds; and its fit on all training rows.

The number of rounds does not grow with the number of rows. Measured (ADR 20, `make bench-small`): more rounds for more
rows gain nothing on small tables and lose on the flights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from headrace.evaluate.metrics import METRICS, require_finite
from headrace.evaluate.splits import Fold
from headrace.models.design import Design, Predictions
from headrace.models.ensemble import FittedEnsemble, FittedMember
from headrace.models.families import get_family, split_config
from headrace.models.families.protocol import Fitted, Label, Learner, Rows
from headrace.models.log_scale import FittedLogScale, fitting_label, fitting_metric
from headrace.models.rounds import find_rounds
from headrace.models.space import Config
from headrace.models.two_part import LEVELS, FittedTwoPart, mixture_quantile, tries_two_parts


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a fit needs besides the rows.

    Attributes:
        family: Name of the model family.
        config: The family's config, with the learning rate that belongs to `rounds`.
        rounds: Boosting rounds, None where the family has none.
        rows: Training rows from which `rounds` was estimated, mean over the folds.
        members: (weight, recipe) of each member of an ensemble; empty for one model.
        parts: Of a two-part model, the recipes of occurrence and amount (`models.two_part`); else empty.
        residuals: Of a two-part model, the quantiles of the amount's residuals.
    """

    family: str
    config: Config
    rounds: int | None
    rows: float
    members: tuple[tuple[float, Recipe], ...] = ()
    parts: tuple[Recipe, ...] = ()
    residuals: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        members = tuple((float(weight), cls.from_json(member)) for weight, member in data.get("members", ()))
        parts = tuple(cls.from_json(part) for part in data.get("parts", ()))
        residuals = tuple(float(value) for value in data.get("residuals", ()))
        return cls(**{**data, "members": members, "parts": parts, "residuals": residuals})

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families that are fitted."""
        return tuple(dict.fromkeys(one.family for _, one in self.members)) if self.members else (self.family,)


@dataclass(frozen=True, kw_only=True)
class RecipeResult:
    """A recipe and its results on the folds.

    Attributes:
        recipe: The recipe.
        loss: Mean over the folds, lower is better.
        predicted: Out-of-fold predictions for the validation rows of each fold.
    """

    recipe: Recipe
    loss: float
    predicted: tuple[Predictions, ...]


def fit_rounds(
    config: Mapping[str, Any],
    design: Design,
    label: Label,
    folds: Sequence[Fold],
    *,
    metric: str,
    seed: int = 0,
    threads: int = 2,
) -> RecipeResult:
    """Find the boosting rounds of a study's config on all rows of the folds (a trial may have used a sample of them).

    Args:
        config: Config of the study's space: the family and its parameters.
        design: All rows [n, d].
        label: Labels [n].
        folds: (train rows, validation rows) of each fold.
        metric: Name of the metric.
        seed: Of the family.
        threads: Threads of a fit.
    """
    family, family_config = split_config(config)
    objective = METRICS[metric]
    y = fitting_label(objective, require_finite(label, "label"))
    valid_designs = [design.rows(rows) for _, rows in folds]

    def start(candidate: Config) -> list[Learner]:
        return [
            family.learner(
                design.rows(train), y[train], (valid_design, y[valid]), candidate,
                metric=fitting_metric(objective), seed=seed, threads=threads,
            )
            for (train, valid), valid_design in zip(folds, valid_designs, strict=True)
        ]  # fmt: skip

    result = find_rounds(family, family_config, start)
    train_rows = sum(len(rows) for rows, _ in folds) / len(folds)
    fitted = [learner.fitted(result.rounds or 1) for learner in result.learners]
    scaled = [FittedLogScale(model) if objective.log_scale else model for model in fitted]
    return RecipeResult(
        recipe=Recipe(family=family.name, config=result.config, rounds=result.rounds, rows=train_rows),
        loss=result.loss,
        predicted=tuple(
            model.predict(rows, threads=threads) for model, rows in zip(scaled, valid_designs, strict=True)
        ),
    )


def fit_rounds_of_best_form(
    config: Mapping[str, Any],
    design: Design,
    label: Label,
    folds: Sequence[Fold],
    *,
    metric: str,
    seed: int = 0,
    threads: int = 2,
) -> RecipeResult:
    """Return the result of `fit_rounds`, or of a two-part model where that has the lower loss on the folds.

    Two parts are fitted only for labels of which many are 0 (`tries_two_parts`). Arguments as of `fit_rounds`.
    """
    options: dict[str, Any] = {"seed": seed, "threads": threads}
    plain = fit_rounds(config, design, label, folds, metric=metric, **options)
    y, measured = np.asarray(label, dtype=np.float64), METRICS[metric]
    if not tries_two_parts(measured, y, [(y[train], y[valid]) for train, valid in folds]):
        return plain
    assert measured.level is not None  # else two parts are not tried
    occurrence = fit_rounds(config, design, _occurs(y), folds, metric="log_loss", **options)
    positive = [(train[y[train] > 0], valid[y[valid] > 0]) for train, valid in folds]
    amount = fit_rounds(config, design, np.log1p(y), positive, metric="mae", **options)
    errors = [np.log1p(y[rows]) - p for (_, rows), p in zip(positive, amount.predicted, strict=True)]
    residuals = tuple(np.quantile(np.concatenate(errors), LEVELS).tolist())
    predicted = []
    for (train, _), (_, valid), probability in zip(positive, folds, occurrence.predicted, strict=True):
        fitted = fit_recipe(amount.recipe, design, np.log1p(y), metric="mae", rows=train, **options)
        amounts = fitted.predict(design.rows(valid), threads=threads)
        predicted.append(mixture_quantile(probability, amounts, residuals, measured.level))
    losses = [
        float(np.mean([measured.loss(y[valid], p) for (_, valid), p in zip(folds, form, strict=True)]))
        for form in (plain.predicted, predicted)
    ]
    if losses[0] <= losses[1]:
        return plain
    parts = (occurrence.recipe, amount.recipe)
    recipe = replace(plain.recipe, rounds=None, parts=parts, residuals=residuals)
    return RecipeResult(recipe=recipe, loss=losses[1], predicted=tuple(predicted))


def _occurs(label: Label) -> Label:
    return (label > 0).astype(np.float64)


def _fit_two_part(recipe: Recipe, design: Design, label: Label, metric: str, seed: int, threads: int) -> FittedTwoPart:
    positive, level = np.flatnonzero(label > 0), METRICS[metric].level
    assert level is not None  # the recipe is one for a quantile
    occurrence, amount = recipe.parts
    options: dict[str, Any] = {"seed": seed, "threads": threads}
    return FittedTwoPart(
        occurrence=fit_recipe(occurrence, design, _occurs(label), metric="log_loss", **options),
        amount=fit_recipe(amount, design, np.log1p(label), metric="mae", rows=positive, **options),
        residuals=recipe.residuals,
        level=level,
    )


def fit_recipe(
    recipe: Recipe,
    design: Design,
    label: Label,
    *,
    metric: str,
    rows: Rows | None = None,
    seed: int = 0,
    threads: int = 2,
) -> Fitted:
    """Fit a recipe on all given rows, for its fixed number of rounds; of an ensemble, each member.

    Args:
        recipe: Family, config and rounds.
        design: Rows [n, d].
        label: Labels [n].
        metric: Name of the metric.
        rows: Indices of the training rows, all where None.
        seed: Of the family.
        threads: Threads of the fit.
    """
    y = require_finite(label, "label")
    if rows is not None:
        design, y = design.rows(rows), y[rows]
    if recipe.members:
        members = tuple(
            FittedMember(
                family=member.family,
                weight=weight,
                fitted=fit_recipe(member, design, y, metric=metric, seed=seed, threads=threads),
            )
            for weight, member in recipe.members
        )
        return FittedEnsemble(members=members, binary=METRICS[metric].binary)
    if recipe.parts:
        return _fit_two_part(recipe, design, y, metric, seed, threads)
    fitted = get_family(recipe.family).fit(
        design,
        fitting_label(METRICS[metric], y),
        recipe.config,
        metric=fitting_metric(METRICS[metric]),
        rounds=recipe.rounds,
        seed=seed,
        threads=threads,
    )
    return FittedLogScale(fitted) if METRICS[metric].log_scale else fitted
