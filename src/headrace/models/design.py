"""Encode a feature matrix (Arrow, by name) as a design matrix (NumPy, by position), for training and serving alike.

Numbers and booleans become float32 with NaN for missing; infinities are missing too. A text column becomes codes of a
category list fitted in training, the most frequent first; other values are missing. float32 halves the memory of a
study's workers and is precise enough for trees; training and serving round alike because both use `Encoder.encode`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.core.mapped import SLICE_ROWS, mapped_array

Matrix = NDArray[np.float32]
Predictions = NDArray[np.float64]

#: Longest category list; rarer values are missing. Trees have no more bins than a byte can number.
MAX_CATEGORIES = 250
#: Rows encoded at a time: bounds the float64 copy.
_CHUNK = 16_384


@dataclass(frozen=True, kw_only=True)
class Design:
    """A design matrix.

    Attributes:
        X: float32 [n, d], NaN is missing.
        names: Name of each column [d].
        categorical: Positions of the columns that hold category codes.
        folder: Where copies of rows are written; None where `X` and its copies are in memory.
    """

    X: Matrix
    names: tuple[str, ...]
    categorical: tuple[int, ...]
    folder: Path | None = None

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def rows(self, index: NDArray[np.int64]) -> Design:
        """Return the rows at these positions: a copy, or of a file the same pages where the rows are consecutive."""
        if self.folder is None:
            return replace(self, X=self.X[index])
        if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
            return replace(self, X=self.X[index[0] : index[0] + len(index)])
        parts = (self.X[index[start : start + SLICE_ROWS]] for start in range(0, len(index), SLICE_ROWS))
        return replace(self, X=mapped_array(self.folder, parts, columns=len(self.names), dtype=np.float32))


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """The column order and category lists fitted in training.

    Attributes:
        names: Columns in the order of the design matrix.
        categories: Text column -> its categories; the position is the code.
    """

    names: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def fit(cls, matrix: pa.Table, *, max_categories: int = MAX_CATEGORIES) -> Encoder:
        """Fit the encoder on a training matrix [n, d].

        Raises:
            DataError: The matrix has no column, two of one name, or one that is no number, boolean or text.
        """
        if matrix.num_columns == 0:
            raise DataError("the feature matrix has no columns", where="design")
        names = tuple(matrix.column_names)
        if len(set(names)) < len(names):
            duplicates = sorted({name for name in names if names.count(name) > 1})
            raise DataError("two features share a name", where="design", found=duplicates)
        categories: dict[str, tuple[str, ...]] = {}
        for name in names:
            data_type = matrix.schema.field(name).type
            if _is_text(data_type):
                categories[name] = _most_frequent(matrix[name], max_categories)
            elif not _is_number(data_type):
                raise DataError(
                    f"a feature of type {data_type} cannot be encoded",
                    where=name,
                    fix="make it a number, a boolean or a text, or ignore it",
                )
        return cls(names=names, categories=categories)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the columns that hold category codes."""
        return tuple(i for i, name in enumerate(self.names) if name in self.categories)

    def encode(self, matrix: pa.Table) -> Design:
        """Encode a matrix that has these columns, in any order.

        Raises:
            DataError: A column is missing, or has another type than in training.
        """
        missing = set(self.names).difference(matrix.schema.names)
        if missing:
            raise DataError(f"{len(missing)} features are missing", where="feature matrix", found=sorted(missing))
        X = np.empty((matrix.num_rows, len(self.names)), dtype=np.float32)
        start = 0
        with np.errstate(over="ignore"):  # beyond float32 is infinite, hence missing
            for batch in _as_numbers(matrix.select(self._numeric)).to_batches(max_chunksize=_CHUNK):
                stop = start + batch.num_rows
                X[start:stop, self._numeric_positions] = batch.to_tensor(null_to_nan=True).to_numpy()
                start = stop
        for position in self.categorical:
            name = self.names[position]
            X[:, position] = self._codes(name, matrix[name])
        X[~np.isfinite(X)] = np.nan
        return Design(X=X, names=self.names, categorical=self.categorical)

    def encode_in_file(self, matrix: pa.Table, folder: Path) -> Design:
        """Encode like `encode`, slice by slice, into a file that is mapped into memory (`core.mapped`).

        Args:
            matrix: A matrix that has these columns, in any order.
            folder: Where the file lies, and the copies of its rows.
        """
        starts = range(0, matrix.num_rows, SLICE_ROWS)
        parts = (self.encode(matrix.slice(start, SLICE_ROWS)).X for start in starts)
        X = mapped_array(folder, parts, columns=len(self.names), dtype=np.float32)
        return Design(X=X, names=self.names, categorical=self.categorical, folder=folder)

    @cached_property
    def _numeric(self) -> list[str]:
        return [name for name in self.names if name not in self.categories]

    @cached_property
    def _numeric_positions(self) -> list[int]:
        return [i for i, name in enumerate(self.names) if name not in self.categories]

    @cached_property
    def _category_codes(self) -> dict[str, dict[str, float]]:
        return {name: {value: float(i) for i, value in enumerate(values)} for name, values in self.categories.items()}

    def _codes(self, name: str, column: pa.ChunkedArray) -> Any:
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        if not (_is_text(column.type) or pa.types.is_null(column.type)):
            raise DataError(f"expected texts, got {column.type}", where=name)
        if len(column) < 1000:
            code_of = self._category_codes[name]
            return [code_of.get(value, np.nan) for value in column.to_pylist()]
        codes = pc.index_in(column.cast(pa.string()), value_set=pa.array(self.categories[name], pa.string()))
        return codes.cast(pa.float32()).to_numpy()

    def to_json(self) -> dict[str, Any]:
        return {"names": list(self.names), "categories": {name: list(v) for name, v in self.categories.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Encoder:
        return cls(
            names=tuple(data["names"]),
            categories={name: tuple(values) for name, values in data["categories"].items()},
        )


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _most_frequent(column: pa.ChunkedArray, limit: int) -> tuple[str, ...]:
    """Return the most frequent values, ties in alphabetical order, so that the order of rows has no influence."""
    counts: Sequence[Mapping[str, Any]] = column.cast(pa.string()).value_counts().to_pylist()
    counted = [(-int(item["counts"]), str(item["values"])) for item in counts if item["values"] is not None]
    return tuple(value for _, value in sorted(counted)[:limit])


def _as_numbers(table: pa.Table) -> pa.Table:
    """Return the table with booleans and null columns cast to float64."""
    types = table.schema.types
    if all(pa.types.is_floating(kind) for kind in types):
        return table
    for name, kind in zip(table.schema.names, types, strict=True):
        if not (_is_number(kind) or pa.types.is_null(kind)):
            raise DataError(f"expected numbers, got {kind}", where=name)
    # Arrow casts booleans to integers only
    whole = [pa.int8() if pa.types.is_boolean(kind) else kind for kind in types]
    as_whole = table.cast(pa.schema(list(zip(table.schema.names, whole, strict=True))))
    return as_whole.cast(pa.schema([(name, pa.float64()) for name in table.schema.names]))
