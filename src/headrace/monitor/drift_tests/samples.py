"""The two samples of one column, with the counts and distribution functions that drift tests compute scores from.

| symbol | meaning                                                     | shape  |
|--------|-------------------------------------------------------------|--------|
| n, m   | rows of the reference and of the current sample             |        |
| ne     | effective size n m / (n + m)                                |        |
| C      | counts by cell: reference, current                          | [2, K] |
| F, G   | empirical distribution functions at the pooled values       | [v]    |

Cells are quantiles of the pooled rows, not of the reference: they do not depend on which row belongs to which sample,
so the counts of shuffled samples are exactly hypergeometric, also with ties, few rows and rare categories. Cells from
the reference would have equal reference counts by construction, unlike those of any shuffle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

if TYPE_CHECKING:
    from headrace.monitor.drift_tests.scores import NormalScores

Kind = Literal["numeric", "categorical"]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

#: Number of cells of equal pooled counts of a numeric column, fewer where a sample is small.
_CELLS = 10
_ROWS_PER_CELL = 10
#: Most categories with a cell of their own; rarer ones, and those with an expected count below 1 in a sample, share one
#: cell: a test over 200 rare categories has no power.
_CATEGORIES, _EXPECTED = 50, 1.0
#: Largest magnitude: its square is a finite float.
_LARGEST = 1e150


class Distributions(NamedTuple):
    """Distinct pooled values [v], F and G at each, and the pooled distribution function."""

    values: Floats
    reference: Floats
    current: Floats
    pooled: Floats


@dataclass(frozen=True, eq=False)
class Pair:
    """A reference and a current sample of one column.

    Attributes:
        kind: numeric or categorical.
        reference: Sorted finite values [n], or category codes [n].
        current: The same of the current sample [m].
        missing: Null or not finite rows of the reference and of the current sample; the arrays do not hold them.
        categories: Categories by code.
        rows: The reference in its original order [n + missing], NaN or -1 where missing.
        current_rows: The current sample in its original order, likewise.
    """

    kind: Kind
    reference: NDArray[Any]
    current: NDArray[Any]
    missing: tuple[int, int] = (0, 0)
    categories: tuple[str, ...] = ()
    rows: NDArray[Any] | None = None
    current_rows: NDArray[Any] | None = None

    @classmethod
    def numeric(cls, reference: NDArray[Any], current: NDArray[Any]) -> Pair:
        """Build a pair of numbers [n], [m]; NaN and infinities are missing."""
        finite = [_finite(values) for values in (reference, current)]
        missing = (len(reference) - len(finite[0]), len(current) - len(finite[1]))
        rows = [np.asarray(values, np.float64) for values in (reference, current)]
        return cls("numeric", np.sort(finite[0]), np.sort(finite[1]), missing, (), *rows)

    @classmethod
    def categorical(cls, reference: Any, current: Any) -> Pair:
        """Build a pair of categories [n], [m] of any one Arrow type; null is missing."""
        reference_values, current_values = _categories(reference), _categories(current)
        pooled = pa.concat_arrays([reference_values, current_values]).dictionary_encode()
        # Codes follow the order of categories, not of first occurrence, which would depend on the sample.
        order = pc.array_sort_indices(pooled.dictionary).to_numpy()
        code = np.append(np.argsort(order), -1)
        codes = code[pc.fill_null(pooled.indices, -1).to_numpy(zero_copy_only=False)]
        halves = codes[: len(reference_values)], codes[len(reference_values) :]
        present = [half[half >= 0] for half in halves]
        missing = (len(reference_values) - len(present[0]), len(current_values) - len(present[1]))
        names = tuple(pooled.dictionary.take(order).to_pylist())
        return cls("categorical", present[0], present[1], missing, names, *halves)

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of rows with a value: n, m."""
        return len(self.reference), len(self.current)

    @property
    def effective(self) -> float:
        """Effective size ne of the rows with a value; 0 where a sample has none."""
        n, m = self.sizes
        return n * m / (n + m) if n and m else 0.0

    @cached_property
    def counts(self) -> Counts:
        """Counts C [2, K] of the non-empty cells; missing rows, if any, are the last cell."""
        cells = self._numeric_counts() if self.kind == "numeric" else self._category_counts()
        return np.column_stack([cells, self.missing]) if any(self.missing) else cells

    @cached_property
    def distributions(self) -> Distributions:
        """F and G of a numeric pair."""
        n, m = self.sizes
        pooled = np.concatenate([self.reference, self.current])
        order = np.argsort(pooled, kind="stable")
        values = pooled[order]
        last = np.append(values[1:] != values[:-1], True)
        rows_up_to = np.flatnonzero(last) + 1
        reference_up_to = np.cumsum(order < n)[last]
        return Distributions(
            values[last], reference_up_to / n, (rows_up_to - reference_up_to) / m, rows_up_to / (n + m)
        )

    @cached_property
    def scores(self) -> NormalScores:
        """The normal scores of a numeric pair, fitted to its reference."""
        from headrace.monitor.drift_tests.scores import NormalScores

        return NormalScores.fit(self.reference)

    @cached_property
    def score_rows(self) -> tuple[Floats, Floats]:
        """Normal scores of both samples of a numeric pair in their original order; NaN where missing."""
        sides = [self.reference if self.rows is None else self.rows]
        sides.append(self.current if self.current_rows is None else self.current_rows)
        reference, current = (self.scores.transform(np.where(np.isfinite(side), side, np.nan)) for side in sides)
        return reference, current

    def cell_counts(self, rows: NDArray[Any], groups: NDArray[np.int64], count: int) -> Counts:
        """Count rows per group and cell [count, K]; the last cell is missing.

        Args:
            rows: Numbers, or codes of `categories` [n].
            groups: Group of each row [n]; rows of negative groups are ignored.
            count: Number of groups.

        Returns:
            Counts over the cells of `counts`, empty cells included.
        """
        cells, last = self.cells_of(rows)
        selected = groups >= 0
        flat = np.bincount(groups[selected] * (last + 1) + cells[selected], minlength=count * (last + 1))
        return np.asarray(flat.reshape(count, last + 1), dtype=np.int64)

    def cells_of(self, rows: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
        """Return the cell of numbers, or codes of `categories` [n], and the last cell, that of missing rows."""
        if self.kind == "numeric":
            edges = self._edges
            present, last = np.isfinite(rows), len(edges) + 1
            cells = np.searchsorted(edges, np.clip(rows, -_LARGEST, _LARGEST), side="left")
        else:
            cell_of_code = self._cell_of_code()
            present, last = rows >= 0, int(cell_of_code.max(initial=-1)) + 1
            cells = np.append(cell_of_code, last)[rows]
        return np.where(present, cells, last).astype(np.int64), last

    def cell_totals(self, which: int) -> Counts:
        """Count the rows of the reference (0) or of the current sample (1) per cell of `cell_counts` [K]."""
        rows = (self.reference, self.current)[which]
        counts: Counts = self.cell_counts(rows, np.zeros(len(rows), dtype=np.int64), 1)[0]
        counts[-1] += self.missing[which]
        return counts

    def _numeric_counts(self) -> Counts:
        edges = self._edges
        shape = len(edges) + 1
        rows = [
            np.diff(np.searchsorted(side, edges, side="right"), prepend=0) for side in (self.reference, self.current)
        ]
        counts = np.empty((2, shape), dtype=np.int64)
        for i, (row, size) in enumerate(zip(rows, self.sizes, strict=True)):
            counts[i, :-1] = row
            counts[i, -1] = size - row.sum()
        return counts[:, counts.any(axis=0)]

    @cached_property
    def _edges(self) -> Floats:
        """Return the upper ends of all cells but the last: pooled quantiles; heavily tied values get their own cell."""
        cells = max(2, min(_CELLS, min(self.sizes) // _ROWS_PER_CELL))
        values, _, _, pooled = self.distributions
        if len(values) <= cells:
            return values[:-1]
        quantile_positions = np.searchsorted(pooled, np.arange(1, cells) / cells)
        positions, counts = np.unique(quantile_positions, return_counts=True)
        before_ties = positions[(counts > 1) & (positions > 0)] - 1
        positions = np.union1d(positions, before_ties)
        return np.asarray(values[positions[positions < len(values) - 1]], dtype=np.float64)

    def _cell_of_code(self) -> NDArray[np.int64]:
        """Return the cell of each code: common categories by pooled count, then one cell for the others."""
        pooled, common = self._pooled()
        cell = np.empty(len(pooled), dtype=np.int64)
        cell[np.argsort(-pooled, kind="stable")] = np.minimum(np.arange(len(pooled)), min(common, _CATEGORIES))
        return cell

    def _pooled(self) -> tuple[Counts, int]:
        """Return the pooled rows by code, and the number of categories with a cell of their own."""
        width = int(max(self.reference.max(initial=-1), self.current.max(initial=-1))) + 1
        pooled = np.bincount(self.reference, minlength=width) + np.bincount(self.current, minlength=width)
        return pooled, int((pooled * (min(self.sizes) / pooled.sum()) >= _EXPECTED).sum())

    def _category_counts(self) -> Counts:
        cell_of_code = self._cell_of_code()
        width = int(cell_of_code.max(initial=-1)) + 1
        cells = np.stack([np.bincount(cell_of_code[side], minlength=width) for side in (self.reference, self.current)])
        return cells[:, cells.any(axis=0)].astype(np.int64)


def _finite(values: NDArray[Any]) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    return np.clip(numbers[np.isfinite(numbers)], -_LARGEST, _LARGEST)


def _categories(values: Any) -> pa.Array:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else pa.array(values, from_pandas=True)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array if pa.types.is_large_string(array.type) else array.cast(pa.large_string())
