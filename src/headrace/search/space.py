"""What a searcher needs of a space: a random config, whether a config is inside, which parameters it activates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from headrace.core.errors import DeclarationError
from headrace.models.space import Categorical, Choice, Config, Float, Integer, Parameter, Space, Value

__all__ = [
    "Categorical",
    "Choice",
    "Config",
    "Float",
    "Integer",
    "Parameter",
    "Space",
    "Value",
    "active",
    "clip",
    "edges",
    "every_parameter",
    "problems_of",
    "require_searchable",
    "sample",
]


def require_searchable(space: Space) -> None:
    """Raises DeclarationError where there is nothing to search, or two parameters share a name."""
    if not space.parameters:
        raise DeclarationError("the space is empty", where="study", fix="declare at least one parameter")
    counts = Counter(key for key, _ in every_parameter(space))
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        raise DeclarationError(
            f"two parameters are called {twice[0]!r}",
            where="study",
            found=twice,
            fix="rename the option of one of them",
        )


def active(space: Space, config: Mapping[str, Value], prefix: str = "") -> Iterator[tuple[str, Parameter]]:
    """(key, parameter) of every parameter that exists in this config, parents first."""
    for name, parameter in space.parameters.items():
        key = prefix + name
        yield key, parameter
        if isinstance(parameter, Choice) and config.get(key) in parameter.options:
            option = str(config[key])
            yield from active(parameter.options[option], config, f"{prefix}{option}.")


def every_parameter(space: Space, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
    """(key, parameter) of all parameters, active together or not."""
    for name, parameter in space.parameters.items():
        yield prefix + name, parameter
        if isinstance(parameter, Choice):
            for option, subspace in parameter.options.items():
                yield from every_parameter(subspace, f"{prefix}{option}.")


def sample(space: Space, rng: np.random.Generator) -> Config:
    """A random config, uniform in each parameter (or its logarithm)."""
    config: Config = {}
    _fill(space, config, "", rng)
    return config


def _fill(space: Space, config: Config, prefix: str, rng: np.random.Generator) -> None:
    for name, parameter in space.parameters.items():
        config[prefix + name] = _draw(parameter, rng)
        if isinstance(parameter, Choice):
            option = str(config[prefix + name])
            _fill(parameter.options[option], config, f"{prefix}{option}.", rng)


def _draw(parameter: Parameter, rng: np.random.Generator) -> Value:
    if isinstance(parameter, Choice):
        return list(parameter.options)[int(rng.integers(len(parameter.options)))]
    if isinstance(parameter, Categorical):
        return parameter.options[int(rng.integers(len(parameter.options)))]
    if isinstance(parameter, Integer) and not parameter.log:
        return int(rng.integers(parameter.low, parameter.high + 1))
    low, high = edges(parameter)
    if parameter.log:
        drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
    else:
        drawn = rng.uniform(low, high)
    return clip(parameter, drawn)


def edges(parameter: Float | Integer) -> tuple[float, float]:
    """The continuous range that rounds to a parameter's range: both ends of an Integer are as wide as its middle."""
    if isinstance(parameter, Integer):
        return parameter.low - 0.5, parameter.high + 0.5
    return parameter.low, parameter.high


def clip(parameter: Float | Integer, number: float) -> float | int:
    """The nearest value of a numeric parameter."""
    inside = min(max(number, parameter.low), parameter.high)
    return round(inside) if isinstance(parameter, Integer) else float(inside)


def problems_of(space: Space, config: Mapping[str, Value]) -> list[str]:
    """Why a config is not of this space; empty where it is."""
    wanted = dict(active(space, config))
    found = [f"unknown parameter {key!r}" for key in config if key not in wanted]
    for key, parameter in wanted.items():
        if key not in config:
            found.append(f"{key!r} is missing")
        elif not _is_value_of(parameter, config[key]):
            found.append(f"{key}={config[key]!r} is outside {parameter}")
    return found


def _is_value_of(parameter: Parameter, value: Value) -> bool:
    if isinstance(parameter, Choice):
        return value in parameter.options
    if isinstance(parameter, Categorical):
        return value in parameter.options
    kinds = (int,) if isinstance(parameter, Integer) else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and parameter.low <= value <= parameter.high
