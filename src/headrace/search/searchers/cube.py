"""A conditional space as rows of numbers, for searchers that compute.

| symbol | meaning | shape |
|---|---|---|
| d | parameters of the space, active together or not, parents first | |
| X | configs: numbers in [0, 1] (after log, where it is), options by position, NaN where inactive | [n, d] |

A whole number takes the middle of its cell of [0, 1], so that both ends of a range are as wide as what lies between.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.search.space import Categorical, Choice, Config, Integer, Parameter, Space, Value, clip, edges

Array = NDArray[np.float64]

#: Rows that agree to this many decimals are the same config.
_DECIMALS = 9


@dataclass(frozen=True, kw_only=True)
class Column:
    """A parameter as a column of X. It exists where column `parent` has the option `option`; parent -1: always.

    options: how many it has, 0 for a number. low, high: what maps to 0 and 1, as logarithms where log.
    """

    key: str
    parameter: Parameter
    parent: int
    option: int
    options: int = 0
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False

    def coordinate(self, value: Value) -> float:
        """The number that stands for a value in X."""
        if isinstance(self.parameter, Choice):
            return float(list(self.parameter.options).index(str(value)))
        if isinstance(self.parameter, Categorical):
            return float(self.parameter.options.index(value))
        number = float(value)  # type: ignore[arg-type]
        return ((math.log(number) if self.log else number) - self.low) / (self.high - self.low)

    def value(self, coordinate: float) -> Value:
        """The value that a coordinate stands for."""
        if isinstance(self.parameter, Choice):
            return list(self.parameter.options)[int(coordinate)]
        if isinstance(self.parameter, Categorical):
            return self.parameter.options[int(coordinate)]
        number = self.low + coordinate * (self.high - self.low)
        return clip(self.parameter, math.exp(number) if self.log else number)

    def snap(self, coordinates: Array) -> Array:
        """The nearest coordinates that stand for values. NaN stays."""
        if self.options:
            return coordinates
        if not self.whole:
            return np.clip(coordinates, 0.0, 1.0)
        numbers = self.low + coordinates * (self.high - self.low)
        numbers = np.clip(np.round(np.exp(numbers) if self.log else numbers), *self._bounds())
        snapped: Array = ((np.log(numbers) if self.log else numbers) - self.low) / (self.high - self.low)
        return snapped

    def _bounds(self) -> tuple[float, float]:
        assert isinstance(self.parameter, Integer)
        return self.parameter.low, self.parameter.high

    @property
    def values(self) -> float:
        """How many values it has; infinite for a real number."""
        if self.options:
            return self.options
        return self._bounds()[1] - self._bounds()[0] + 1 if self.whole else math.inf


class Cube:
    """Configs to rows and back."""

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
        """X [n, d] of configs of this space."""
        rows = [self._row(config) for config in configs]
        return np.array(rows) if rows else np.empty((0, self.d))

    def _row(self, config: Config) -> Array:
        row = np.full(self.d, np.nan)
        for key, value in config.items():
            j = self._index[key]
            row[j] = self.columns[j].coordinate(value)
        return row

    def decode(self, row: Array) -> Config:
        """The config of a row whose inactive parameters are NaN."""
        return {column.key: column.value(row[j]) for j, column in enumerate(self.columns) if not math.isnan(row[j])}

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """X [n, d] of random configs, uniform in each parameter (or its logarithm)."""
        return self.complete(rng.random((n, self.d)), rng)

    def complete(self, unit: Array, rng: np.random.Generator | None = None) -> Array:
        """Points of the unit cube [n, d] as configs: options by their share of [0, 1), the rest snapped, pruned."""
        X = np.where(self.numeric, unit, np.minimum(np.floor(unit * np.maximum(self.options, 1)), self.options - 1))
        return self.prune(self.snap(X), rng)

    def snap(self, X: Array) -> Array:
        """The nearest configs."""
        snapped = X.copy()
        for j, column in enumerate(self.columns):
            if not column.options:
                snapped[:, j] = column.snap(X[:, j])
        return snapped

    def prune(self, X: Array, rng: np.random.Generator | None = None) -> Array:
        """X made consistent: NaN where inactive; with rng, a random value where active and missing."""
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
        """[n, p]: a number as it is, an option as an indicator; in these the squared distance of two options is 1.

        An inactive number is the middle of its range, an inactive option is none of its options. p is the length of
        `owner`, which says whose column each feature is.
        """
        found = np.empty((len(X), len(self.owner)))
        for k, (j, option) in enumerate(zip(self.owner, self._option, strict=True)):
            if option < 0:
                found[:, k] = np.where(np.isnan(X[:, j]), 0.5, X[:, j])
            else:
                found[:, k] = (X[:, j] == option) * math.sqrt(0.5)
        return found

    def identities(self, X: Array) -> list[bytes]:
        """One value a row, equal where the configs are."""
        rounded = np.ascontiguousarray(np.where(np.isnan(X), -1.0, np.round(X, _DECIMALS)) + 0.0)
        return [row.tobytes() for row in rounded]


def _columns(space: Space) -> list[Column]:
    found: list[Column] = []

    def visit(space: Space, prefix: str, parent: int, option: int) -> None:
        for name, parameter in space.parameters.items():
            own = {"key": prefix + name, "parameter": parameter, "parent": parent, "option": option}
            if isinstance(parameter, Choice):
                found.append(Column(**own, options=len(parameter.options)))  # type: ignore[arg-type]
                mine = len(found) - 1
                for number, (label, subspace) in enumerate(parameter.options.items()):
                    visit(subspace, f"{prefix}{label}.", mine, number)
            elif isinstance(parameter, Categorical):
                found.append(Column(**own, options=len(parameter.options)))  # type: ignore[arg-type]
            else:
                low, high = edges(parameter)
                if parameter.log:
                    low, high = math.log(low), math.log(high)
                whole = isinstance(parameter, Integer)
                found.append(Column(**own, low=low, high=high, log=parameter.log, whole=whole))  # type: ignore[arg-type]

    visit(space, "", -1, -1)
    return found
