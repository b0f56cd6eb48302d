"""Operations on a configuration space, for searchers: draw, validate, list the parameters that a config activates."""

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
    "active_parameters",
    "all_parameters",
    "clip",
    "config_errors",
    "continuous_bounds",
    "require_searchable",
    "sample",
]


def require_searchable(space: Space) -> None:
    """Check that a study can search a space.

    Raises:
        DeclarationError: The space has no parameter, or two parameters share a key.
    """
    if not space.parameters:
        raise DeclarationError("the space is empty", where="study", fix="declare at least one parameter")
    counts = Counter(key for key, _ in all_parameters(space))
    duplicates = [key for key, count in counts.items() if count > 1]
    if duplicates:
        raise DeclarationError(
            f"two parameters are called {duplicates[0]!r}",
            where="study",
            found=duplicates,
            fix="rename the option of one of them",
        )


def active_parameters(space: Space, config: Mapping[str, Value], prefix: str = "") -> Iterator[tuple[str, Parameter]]:
    """Yield (key, parameter) of each parameter that is active in a config, parents first."""
    for name, parameter in space.parameters.items():
        key = prefix + name
        yield key, parameter
        if isinstance(parameter, Choice) and config.get(key) in parameter.options:
            option = str(config[key])
            yield from active_parameters(parameter.options[option], config, f"{prefix}{option}.")


def all_parameters(space: Space, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
    """Yield (key, parameter) of all parameters of a space, of every option of every Choice."""
    for name, parameter in space.parameters.items():
        yield prefix + name, parameter
        if isinstance(parameter, Choice):
            for option, subspace in parameter.options.items():
                yield from all_parameters(subspace, f"{prefix}{option}.")


def sample(space: Space, rng: np.random.Generator) -> Config:
    """Draw a config, uniform in each parameter, or in its logarithm where `log` is set."""
    config: Config = {}
    _fill(space, config, "", rng)
    return config


def _fill(space: Space, config: Config, prefix: str, rng: np.random.Generator) -> None:
    for name, parameter in space.parameters.items():
        config[prefix + name] = _sample_value(parameter, rng)
        if isinstance(parameter, Choice):
            option = str(config[prefix + name])
            _fill(parameter.options[option], config, f"{prefix}{option}.", rng)


def _sample_value(parameter: Parameter, rng: np.random.Generator) -> Value:
    if isinstance(parameter, Choice):
        return list(parameter.options)[int(rng.integers(len(parameter.options)))]
    if isinstance(parameter, Categorical):
        return parameter.options[int(rng.integers(len(parameter.options)))]
    if isinstance(parameter, Integer) and not parameter.log:
        return int(rng.integers(parameter.low, parameter.high + 1))
    low, high = continuous_bounds(parameter)
    if parameter.log:
        number = math.exp(rng.uniform(math.log(low), math.log(high)))
    else:
        number = rng.uniform(low, high)
    return clip(parameter, number)


def continuous_bounds(parameter: Float | Integer) -> tuple[float, float]:
    """Return the real interval that rounds to a parameter's range, so that each value of an Integer has equal width."""
    if isinstance(parameter, Integer):
        return parameter.low - 0.5, parameter.high + 0.5
    return parameter.low, parameter.high


def clip(parameter: Float | Integer, number: float) -> float | int:
    """Return the value of a numeric parameter that is nearest to a number."""
    inside = min(max(number, parameter.low), parameter.high)
    return round(inside) if isinstance(parameter, Integer) else float(inside)


def config_errors(space: Space, config: Mapping[str, Value]) -> list[str]:
    """List why a config does not belong to a space; empty where it does."""
    expected = dict(active_parameters(space, config))
    errors = [f"unknown parameter {key!r}" for key in config if key not in expected]
    for key, parameter in expected.items():
        if key not in config:
            errors.append(f"{key!r} is missing")
        elif not _contains(parameter, config[key]):
            errors.append(f"{key}={config[key]!r} is outside {parameter}")
    return errors


def _contains(parameter: Parameter, value: Value) -> bool:
    if isinstance(parameter, Choice):
        return value in parameter.options
    if isinstance(parameter, Categorical):
        return value in parameter.options
    types = (int,) if isinstance(parameter, Integer) else (int, float)
    return isinstance(value, types) and not isinstance(value, bool) and parameter.low <= value <= parameter.high
