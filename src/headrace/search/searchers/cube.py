"""Encode the configs of a conditional space as rows of numbers, for searchers that fit a model.

| symbol | meaning | shape |
|---|---|---|
| d | parameters of the space, active together or not, parents first | |
| X | configs: numbers in [0, 1] (after log, where it is), options by position, NaN where inactive | [n, d] |

An integer takes the middle of its cell of [0, 1], so that the end values of a range are as wide as the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.search.space import Categorical, Choice, Config, Integer, Parameter, Space, Value, clip, continuous_bounds

Array = NDArray[np.float64]

#: Rows that agree to this many decimals are the same config.
_DECIMALS = 9


@dataclass(frozen=True, kw_only=True)
class Column:
    """One parameter as one column of X.

    Attributes:
        key: Key of the parameter in a config.
        parameter: Its declaration.
        parent: Column that activates it, -1 where it is always active.
        option: Option of the parent in which it is active.
        options: Number of options, 0 for a numeric parameter.
        low, high: Numbers (logarithms where `log`) that map to 0 and 1.
        log: Whether the scale is logarithmic.
        integer: Whether the values are integers.
    """

    key: str
    parameter: Parameter
    parent: int
    option: int
    options: int = 0
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    integer: bool = False

    def coordinate(self, value: Value) -> float:
        """Return the coordinate in X of a value."""
        if isinstance(self.parameter, Choice):
            return float(list(self.parameter.options).index(str(value)))
        if isinstance(self.parameter, Categorical):
            return float(self.parameter.options.index(value))
        number = float(value)  # type: ignore[arg-type]
        return ((math.log(number) if self.log else number) - self.low) / (self.high - self.low)

    def value(self, coordinate: float) -> Value:
        """Return the value at a coordinate."""
        if isinstance(self.parameter, Choice):
            return list(self.parameter.options)[int(coordinate)]
        if isinstance(self.parameter, Categorical):
            return self.parameter.options[int(coordinate)]
        number = self.low + coordinate * (self.high - self.low)
        return clip(self.parameter, math.exp(number) if self.log else number)

    def snap(self, coordinates: Array) -> Array:
        """Round coordinates to the nearest ones that a value has. NaN stays."""
        if self.options:
            return coordinates
        if not self.integer:
            return np.clip(coordinates, 0.0, 1.0)
        numbers = self.low + coordinates * (self.high - self.low)
        numbers = np.clip(np.round(np.exp(numbers) if self.log else numbers), *self._bounds())
        snapped: Array = ((np.log(numbers) if self.log else numbers) - self.low) / (self.high - self.low)
        return snapped

    def _bounds(self) -> tuple[float, float]:
        assert isinstance(self.parameter, Integer)
        return self.parameter.low, self.parameter.high

    @property
    def n_values(self) -> float:
        """Number of values; infinite for a real parameter."""
        if self.options:
            return self.options
        return self._bounds()[1] - self._bounds()[0] + 1 if self.integer else math.inf


class Cube:
    """Encode configs as rows of X and decode rows to configs.

    Attributes:
        columns: The parameters, parents first.
        d: Number of columns.
        options: Number of options of each column [d], 0 for a numeric one.
        numeric: Which columns are numeric [d].
        owner: Column of each feature of `features` [p].
    """

    def __init__(self, space: Space) -> None:
        self.columns = tuple(_columns(space))
        self.d = len(self.columns)
        self.options = np.array([column.options for column in self.columns])
        self.numeric = self.options == 0
        spans = [(j, option) for j, o in enumerate(self.options) for option in (range(o) if o else [-1])]
        self.owner = np.array([j for j, _ in spans])
        self._option = [option for _, option in spans]
        self._index = {column.key: j for j, column in enumerate(self.columns)}

    def encode(self, configs: Iterable[Config]) -> Array:
        """Encode configs of this space as X [n, d]."""
        rows = [self._row(config) for config in configs]
        return np.array(rows) if rows else np.empty((0, self.d))

    def _row(self, config: Config) -> Array:
        row = np.full(self.d, np.nan)
        for key, value in config.items():
            j = self._index[key]
            row[j] = self.columns[j].coordinate(value)
        return row

    def decode(self, row: Array) -> Config:
        """Decode a row [d] to a config; NaN marks an inactive parameter."""
        return {column.key: column.value(row[j]) for j, column in enumerate(self.columns) if not math.isnan(row[j])}

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n configs as X [n, d], uniform in each parameter (or its logarithm)."""
        return self.complete(rng.random((n, self.d)), rng)

    def complete(self, unit: Array, rng: np.random.Generator | None = None) -> Array:
        """Map points of the unit cube [n, d] to configs: options by their share of [0, 1), numbers snapped, pruned."""
        X = np.where(self.numeric, unit, np.minimum(np.floor(unit * np.maximum(self.options, 1)), self.options - 1))
        return self.prune(self.snap(X), rng)

    def snap(self, X: Array) -> Array:
        """Round numeric coordinates to the nearest ones that a value has."""
        snapped = X.copy()
        for j, column in enumerate(self.columns):
            if not column.options:
                snapped[:, j] = column.snap(X[:, j])
        return snapped

    def prune(self, X: Array, rng: np.random.Generator | None = None) -> Array:
        """Set inactive parameters to NaN; with rng, draw a value for each active one that is missing."""
        X = X.copy()
        for j, column in enumerate(self.columns):
            if column.parent >= 0:
                X[X[:, column.parent] != column.option, j] = np.nan
            if rng is not None:
                missing = np.isnan(X[:, j])
                if column.parent >= 0:
                    missing &= X[:, column.parent] == column.option
                count = int(missing.sum())
                if count:
                    X[missing, j] = self._draws(column, count, rng)
        return X

    def _draws(self, column: Column, count: int, rng: np.random.Generator) -> Array:
        if column.options:
            return rng.integers(column.options, size=count).astype(np.float64)
        return column.snap(rng.random(count))

    def features(self, X: Array) -> Array:
        """Return model inputs [n, p]: numbers unchanged, options as indicators at squared distance 1 of each other.

        An inactive number is the middle of its range; of an inactive option all indicators are 0. `owner` [p] names
        the column that each feature comes from.
        """
        features = np.empty((len(X), len(self.owner)))
        for k, (j, option) in enumerate(zip(self.owner, self._option, strict=True)):
            if option < 0:
                features[:, k] = np.where(np.isnan(X[:, j]), 0.5, X[:, j])
            else:
                features[:, k] = (X[:, j] == option) * math.sqrt(0.5)
        return features

    def identities(self, X: Array) -> list[bytes]:
        """Return one hashable value a row [n], equal where the configs are equal."""
        rounded = np.ascontiguousarray(np.where(np.isnan(X), -1.0, np.round(X, _DECIMALS)) + 0.0)
        return [row.tobytes() for row in rounded]


def _columns(space: Space) -> list[Column]:
    columns: list[Column] = []

    def visit(space: Space, prefix: str, parent: int, option: int) -> None:
        for name, parameter in space.parameters.items():
            common = {"key": prefix + name, "parameter": parameter, "parent": parent, "option": option}
            if isinstance(parameter, Choice):
                columns.append(Column(**common, options=len(parameter.options)))  # type: ignore[arg-type]
                index = len(columns) - 1
                for number, (label, subspace) in enumerate(parameter.options.items()):
                    visit(subspace, f"{prefix}{label}.", index, number)
            elif isinstance(parameter, Categorical):
                columns.append(Column(**common, options=len(parameter.options)))  # type: ignore[arg-type]
            else:
                low, high = continuous_bounds(parameter)
                if parameter.log:
                    low, high = math.log(low), math.log(high)
                integer = isinstance(parameter, Integer)
                columns.append(Column(**common, low=low, high=high, log=parameter.log, integer=integer))  # type: ignore[arg-type]

    visit(space, "", -1, -1)
    return columns
