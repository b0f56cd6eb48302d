"""Turn a design matrix into a network's inputs: scaled numbers, missing indicators, category codes; in NumPy.

| symbol | shape  | meaning                                                                                          |
|--------|--------|--------------------------------------------------------------------------------------------------|
| z      | [n, p] | numbers, scaled: u / sqrt(1 + (u / 3)^2) with u = (x - median) / spread; 0 where missing          |
| m      | [n, q] | 1 where a number is missing, for the columns that have missing values in training                |
| c      | [n, r] | category codes: 0 for a missing or unseen level, else 1 + the code                               |

The scaling is that of RealMLP (Holzmüller et al., 2024): spread is the distance of the quartiles, or half the range
where they are equal; the clipping is smooth, at 3. Columns that are constant or empty in training are no inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.models.design import Design

_CLIP = 3.0
#: A level with fewer training rows than this has no code of its own.
_MIN_ROWS = 2


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """A network's inputs: z and m together, float32 [n, p + q], and c, int64 [n, r]."""

    numbers: NDArray[np.float32]
    codes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, index: NDArray[np.int64]) -> Arrays:
        """Return the rows at these positions."""
        return Arrays(numbers=self.numbers[index], codes=self.codes[index])


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What is fitted on training rows.

    Attributes:
        columns: Columns of a design matrix.
        numeric: Positions of the p numeric inputs.
        median, spread: Of each [p].
        missing: Positions of the q columns with a missing indicator.
        categorical: Positions of the r category columns.
        kept_codes: Codes with a level of their own, ascending, of each category column.
    """

    columns: int
    numeric: tuple[int, ...]
    median: tuple[float, ...]
    spread: tuple[float, ...]
    missing: tuple[int, ...]
    categorical: tuple[int, ...]
    kept_codes: tuple[tuple[int, ...], ...]

    @classmethod
    def fit(cls, design: Design) -> Inputs:
        """Fit on a training matrix [n, d]."""
        numeric, median, spread, missing = [], [], [], []
        for at in range(len(design.names)):
            if at in design.categorical:
                continue
            column = design.X[:, at].astype(np.float64)
            finite = column[np.isfinite(column)]
            if 0 < len(finite) < len(column):
                missing.append(at)
            if len(finite) and finite.min() < finite.max():
                low, middle, high = np.quantile(finite, (0.25, 0.5, 0.75))
                numeric.append(at)
                median.append(float(middle))
                spread.append(float(high - low or (finite.max() - finite.min()) / 2))
        return cls(
            columns=len(design.names),
            numeric=tuple(numeric),
            median=tuple(median),
            spread=tuple(spread),
            missing=tuple(missing),
            categorical=design.categorical,
            kept_codes=tuple(_frequent_codes(design.X[:, at]) for at in design.categorical),
        )

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels of each category column, that of missing and unseen ones included [r]."""
        return tuple(len(codes) + 1 for codes in self.kept_codes)

    @property
    def owners(self) -> tuple[int, ...]:
        """Column of the design matrix of each number, indicator and category, in this order [p + q + r]."""
        return (*self.numeric, *self.missing, *self.categorical)

    def transform(self, design: Design) -> Arrays:
        """Return the inputs of rows [n, d]."""
        X = design.X
        u = (X[:, list(self.numeric)] - np.array(self.median)) / np.array(self.spread)
        with np.errstate(invalid="ignore", over="ignore"):
            z = u / np.sqrt(1 + (u / _CLIP) ** 2)
        z = np.where(np.isfinite(z), z, 0.0)
        m = np.isnan(X[:, list(self.missing)])
        codes = np.zeros((len(X), len(self.categorical)), dtype=np.int64)
        for at, (position, kept) in enumerate(zip(self.categorical, self.kept_codes, strict=True)):
            codes[:, at] = _positions(X[:, position], np.array(kept, dtype=np.int64))
        return Arrays(numbers=np.concatenate([z, m], axis=1).astype(np.float32), codes=codes)

    def bins(self, arrays: Arrays, count: int) -> list[NDArray[np.float32]]:
        """Return the edges of quantile bins of each numeric input, at least two edges each [p]."""
        levels = np.linspace(0, 1, count + 1)
        found = []
        for at in range(len(self.numeric)):
            column = arrays.numbers[:, at]
            edges = np.unique(np.quantile(column, levels)).astype(np.float32)
            edges = np.unique(edges)
            if len(edges) < 2:  # nearly all values are equal
                edges = np.array([column.min(), column.max()], dtype=np.float32)
            found.append(edges)
        return found

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Inputs:
        plain = {name: tuple(value) for name, value in data.items() if name not in ("columns", "kept_codes")}
        return cls(
            columns=int(data["columns"]), kept_codes=tuple(tuple(codes) for codes in data["kept_codes"]), **plain
        )


def _frequent_codes(column: NDArray[np.float32]) -> tuple[int, ...]:
    codes, counts = np.unique(column[np.isfinite(column)].astype(np.int64), return_counts=True)
    return tuple(int(code) for code in codes[counts >= _MIN_ROWS])


def _positions(column: NDArray[np.float32], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 1 + the position of each code among the kept ones, 0 for others and missing ones."""
    if not len(kept):
        return np.zeros(len(column), dtype=np.int64)
    codes = np.where(np.isfinite(column), column, -1).astype(np.int64)
    at = np.searchsorted(kept, codes).clip(max=len(kept) - 1)
    return np.where(kept[at] == codes, at + 1, 0)
