"""A study's configuration with its rounds: found on folds, then fitted on whatever rows it may learn from by now.

Rounds stay what they were on the folds. More of them for more rows were tried: they are worth nothing on small tables
(`make bench-small`), and cost on the flights (ADR 20).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headrace.evaluate.metrics import METRICS, require_finite
from headrace.evaluate.splits import Fold
from headrace.models.design import Design, Predictions
from headrace.models.families import family_named, split_config
from headrace.models.families.protocol import Fitted, Label, Learner, Rows
from headrace.models.rounds import learnt
from headrace.models.space import Config


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a fit needs besides rows. config: the family's own, with the learning rate that its rounds were found at.

    rounds: None where the family has none. rows: how many it learnt from when they were found, mean over the folds.
    """

    family: str
    config: Config
    rounds: int | None
    rows: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A recipe, and how it did on the folds. loss: mean over them, lower is better. predicted: for the validation rows
    of each, by a model that had not seen them.
    """

    recipe: Recipe
    loss: float
    predicted: tuple[Predictions, ...]


def settle(
    config: Mapping[str, Any],
    design: Design,
    label: Label,
    folds: Sequence[Fold],
    *,
    metric: str,
    seed: int = 0,
    threads: int = 2,
) -> Settled:
    """Find the rounds of a study's config on all rows of the folds. Those of a trial may come from a sample of them."""
    family, own = split_config(config)
    y = require_finite(label, "label")
    valid = [design.rows(rows) for _, rows in folds]

    def start(asked: Config) -> list[Learner]:
        return [
            family.learner(
                design.rows(taught), y[taught], (judged, y[rows]), asked, metric=METRICS[metric], seed=seed,
                threads=threads,
            )
            for (taught, rows), judged in zip(folds, valid, strict=True)
        ]  # fmt: skip

    found = learnt(family, own, start)
    taught = sum(len(rows) for rows, _ in folds) / len(folds)
    fitted = [learner.fitted(found.rounds or 1) for learner in found.learners]
    return Settled(
        recipe=Recipe(family=family.name, config=found.config, rounds=found.rounds, rows=taught),
        loss=found.loss,
        predicted=tuple(one.predict(rows, threads=threads) for one, rows in zip(fitted, valid, strict=True)),
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
    """Fit a recipe on all the rows that it may learn from by now; nothing stops it early."""
    y = require_finite(label, "label")
    if rows is not None:
        design, y = design.rows(rows), y[rows]
    return family_named(recipe.family).fit(
        design,
        y,
        recipe.config,
        metric=METRICS[metric],
        rounds=recipe.rounds,
        seed=seed,
        threads=threads,
    )
