"""The space of the benchmark, wider than the product's own, and how a config becomes coordinates.

Wider, because a space that holds only good configs tells no searcher from another: half of the families' draws are a
linear model, learning rates too small for the rounds there are, leaves of two rows, and sampling that is nested twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from headrace.models.space import Categorical, Choice, Config, Float, Integer, Parameter, Space, Value
from headrace.search.space import active_parameters, all_parameters, clip

SPACE = Space(
    {
        "family": Choice(
            {
                "lightgbm": Space(
                    {
                        "learning_rate": Float(0.01, 0.5, log=True),
                        "num_leaves": Integer(3, 128, log=True),
                        "min_data_in_leaf": Integer(2, 200, log=True),
                        "feature_fraction": Float(0.1, 1.0),
                        "lambda_l1": Float(1e-3, 30.0, log=True),
                        "lambda_l2": Float(1e-3, 100.0, log=True),
                        "max_bin": Categorical((15, 63, 255)),
                        "extra_trees": Categorical((False, True)),
                        "sampling": Choice(
                            {
                                "every_row": Space({}),
                                "bagging": Space({"fraction": Float(0.2, 1.0)}),
                                "goss": Space({"top": Float(0.05, 0.5), "other": Float(0.05, 0.5)}),
                            }
                        ),
                    }
                ),
                "linear": Space(
                    {
                        "strength": Float(1e-5, 100.0, log=True),
                        "scale": Categorical(("standard", "quantile")),
                    }
                ),
            }
        )
    }
)
#: Share of a dense design that goes to each family: the larger subspace needs the points.
SHARES = {"lightgbm": 0.85, "linear": 0.15}
DIGITS = 4


def config_at(point: Sequence[float]) -> Config:
    """The config at a point of the unit cube [number of parameters]; coordinates of inactive ones are not used.

    Floats are rounded to four significant digits, so that what is stored is what was trained.
    """
    place = dict(zip([key for key, _ in all_parameters(SPACE)], point, strict=True))
    config: Config = {}
    while missing := [item for item in active_parameters(SPACE, config) if item[0] not in config]:
        for key, parameter in missing:
            config[key] = _value_at(key, parameter, place[key])
    return config


def _value_at(key: str, parameter: Parameter, u: float) -> Value:
    if isinstance(parameter, Choice | Categorical):
        options = list(parameter.options)
        shares = [SHARES[str(option)] if key == "family" else 1 / len(options) for option in options]
        return options[min(int(np.searchsorted(np.cumsum(shares), u, side="right")), len(options) - 1)]
    low, high = parameter.low, parameter.high
    number = math.exp(math.log(low) + u * math.log(high / low)) if parameter.log else low + u * (high - low)
    return clip(parameter, float(f"{number:.{DIGITS}g}"))


def coordinates_of(family: str, configs: Sequence[Mapping[str, Value]]) -> NDArray[np.float64]:
    """[n, d] in the unit cube, of configs of one family: numbers (or their logarithm) scaled, a column per option.

    A parameter that does not exist in a config is at .5 there; which option was taken has columns of its own.
    """
    columns, count = _columns(family)
    X = np.full((len(configs), count), 0.5)
    for row, config in zip(X, configs, strict=True):
        for key, value in config.items():
            if key in columns:
                place, at = columns[key]
                if isinstance(place, Float | Integer):
                    row[at] = _scaled(place, float(value))  # type: ignore[arg-type]
                else:
                    options = list(place.options)
                    row[at : at + len(options)] = 0.0
                    row[at + options.index(value)] = 1.0  # type: ignore[arg-type]
    return X


@cache
def _columns(family: str) -> tuple[dict[str, tuple[Parameter, int]], int]:
    """(parameter, first column) by key of a family's parameters, and how many columns they have."""
    columns: dict[str, tuple[Parameter, int]] = {}
    at = 0
    for key, parameter in all_parameters(SPACE):
        if key.startswith(f"{family}."):
            columns[key] = parameter, at
            at += len(parameter.options) if isinstance(parameter, Choice | Categorical) else 1
    return columns, at


def _scaled(parameter: Float | Integer, value: float) -> float:
    if parameter.log:
        return math.log(value / parameter.low) / math.log(parameter.high / parameter.low)
    return (value - parameter.low) / (parameter.high - parameter.low)
