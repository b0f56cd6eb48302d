"""The first configurations of a search: the portfolio, then a warm start from the data sets most like the user's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.starts.greedy import greedy_choice
from headrace.automl.starts.matrix import Matrix
from headrace.automl.starts.properties import similarities
from headrace.automl.task.task import Floats
from headrace.models.space import Config

#: Number of configurations of the portfolio, and of the warm start after it.
PORTFOLIO_SIZE, WARM_SIZE = 12, 12
#: How much the cost of a configuration counts against its gain (`greedy_choice`). With 1, the first configurations are
#: cheap ones that gain little; with 0, expensive ones come first (`make bench-portfolio`).
COST_POWER = 0.5
#: Starts before those of the families that would have none.
_BEFORE_OTHERS = 4

#: Family -> a parameter that it did not have when the matrix was evaluated, and values for its configs in turn: first
#: that of the matrix. With one-hot encoding of up to 10 levels, CatBoost takes a third to half of the time; of ten
#: tables the loss was lower on five, and higher on four. Of Huber's loss: decision 80.
_NEW_PARAMETERS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "catboost": ("one_hot_max_size", (2, 10)),
    "elastic_net": ("loss", ("squared", "huber")),
}


def first_configs(
    matrix: Matrix, families: Sequence[str], properties: Floats | None, *, portfolio: int = PORTFOLIO_SIZE,
    warm: int = WARM_SIZE,
) -> tuple[Config, ...]:  # fmt: skip
    """Return the first configurations of a search, in their order.

    Args:
        matrix: Losses of configurations on data sets.
        families: Families that can be used.
        properties: Properties of the user's data set; None for no warm start.
        portfolio: Size of the portfolio.
        warm: Size of the warm start.
    """
    usable = matrix.of_families(families)
    if not usable.configs:
        return ()
    losses, costs = usable.relative_of_both(), usable.relative_cost()
    chosen = greedy_choice(losses, portfolio, costs=costs, cost_power=COST_POWER)
    if properties is not None:
        weights = similarities(properties, usable.properties)
        more = greedy_choice(losses, warm, weights=weights, costs=costs, cost_power=COST_POWER, chosen=chosen)
        chosen = (*chosen, *more)
    return tuple(usable.configs[position] for position in chosen)


def with_every_family(
    first: Sequence[Config], matrix: Matrix, families: Sequence[str], properties: Floats | None
) -> tuple[Config, ...]:
    """Return the first configurations with one of each family that has none, because an ensemble gains from variety.

    They come after the first four: each is the best of its family on the data sets of the matrix, or the family's
    default where the matrix has none.

    Args:
        first: What `first_configs` returned.
        matrix: Losses of configurations on data sets.
        families: Families that can be used.
        properties: Properties of the user's data set, which weight the data sets; None for equal weights.
    """
    if not first:
        return ()
    present = {config["family"] for config in first}
    added = [_best(matrix, family, properties) for family in families if family not in present]
    return (*first[:_BEFORE_OTHERS], *added, *first[_BEFORE_OTHERS:])


def with_new_parameters(configs: Sequence[Config]) -> tuple[Config, ...]:
    """Return configs of the matrix with the parameters that their families did not have then, the values in turn."""
    turns = {family: itertools.cycle(values) for family, (_, values) in _NEW_PARAMETERS.items()}
    completed: list[Config] = []
    for config in configs:
        family = str(config["family"])
        new = {f"{family}.{_NEW_PARAMETERS[family][0]}": next(turns[family])} if family in turns else {}
        completed.append({**new, **config})
    return tuple(completed)


def _best(matrix: Matrix, family: str, properties: Floats | None) -> Config:
    own = matrix.of_families((family,))
    if not own.configs:
        default = TABLE_FAMILIES[family].default()
        return {"family": family, **{f"{family}.{name}": value for name, value in default.items()}}
    weights = np.ones(len(own.tables)) if properties is None else similarities(properties, own.properties)
    return own.configs[int(np.argmin(weights @ own.relative_of_both()))]
