"""Number keys of one or several columns densely: equal keys have equal integer codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.synthesis.language.values import Ints, as_array


def encode_rows(columns: Sequence[pa.Array]) -> tuple[Ints, int]:
    """Codes [n] of rows by the values of some columns, -1 where one of them is null; and the number of codes."""
    codes, _ = encode_pairs(columns, [column.slice(0, 0) for column in columns])
    return codes, int(codes.max(initial=-1)) + 1


def encode_pairs(left: Sequence[pa.Array], right: Sequence[pa.Array]) -> tuple[Ints, Ints]:
    """Codes of two sets of rows in one numbering, that of the left rows.

    Args:
        left: key columns of the left rows [n].
        right: the same columns of the right rows [m].

    Returns:
        Codes of the left rows [n] and of the right rows [m]: -1 where a column is null, -2 where a right row is not
        among the left ones.
    """
    key = KeyCodes([KeyColumn(column) for column in left])
    return key.codes, key.find(right)


class KeyColumn:
    """One column of a key with a code for each value [n], -1 where null."""

    def __init__(self, values: pa.Array) -> None:
        values = plain(values)
        self.type = values.type
        self._rank: Ints | None = None
        ranked = None
        if pa.types.is_integer(values.type) and values.type != pa.uint64():
            ranked = _rank_integers(values)
        if ranked is not None:
            self.codes, self._rank, self._least = ranked
            return
        encoded = values.dictionary_encode()
        self._dictionary = encoded.dictionary
        codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
        self.codes = np.asarray(codes, dtype=np.int64)

    @cached_property
    def width(self) -> int:
        """How many codes there are."""
        return int(self.codes.max(initial=-1)) + 1

    def find(self, values: pa.Array) -> Ints:
        """The codes of other values [m]; -1 where null, -2 where not in the column.

        Raises:
            DataError: the values cannot be cast to the type of the column.
        """
        values = plain(values)
        if values.type != self.type:
            try:
                values = values.cast(self.type)
            except pa.ArrowInvalid as error:
                raise DataError(
                    f"a key of type {values.type} does not fit {self.type}",
                    fix=f"send the key as {self.type} ({error})",
                ) from None
        null = np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))
        if self._rank is None:
            place = pc.fill_null(pc.index_in(values, value_set=self._dictionary).cast(pa.int64()), -2)
            return np.where(null, -1, place.to_numpy(zero_copy_only=False))
        numbers = np.asarray(pc.fill_null(values, 0).to_numpy(), dtype=np.int64)
        inside = (numbers >= self._least) & (numbers < self._least + len(self._rank))
        codes = np.full(len(numbers), -2, dtype=np.int64)
        codes[inside] = self._rank[numbers[inside] - self._least]
        codes[null] = -1
        return codes


class KeyCodes:
    """The key of a table's rows, of one or several columns, with dense codes [n], -1 where a column is null."""

    def __init__(self, columns: Sequence[KeyColumn]) -> None:
        self._columns = columns
        self._pairs: list[Ints] = []
        self.codes: Ints = columns[0].codes
        for column in columns[1:]:
            null = (self.codes < 0) | (column.codes < 0)
            distinct, dense = _distinct(np.where(null, -1, self.codes * column.width + column.codes))
            shift = 1 if len(distinct) and distinct[0] == -1 else 0
            self._pairs.append(distinct[shift:])
            self.codes = dense.astype(np.int64) - shift

    def find(self, columns: Sequence[pa.Array]) -> Ints:
        """The codes of other rows [m]; -1 where a column is null, -2 where there is no such row."""
        codes = self._columns[0].find(columns[0])
        for column, distinct, values in zip(self._columns[1:], self._pairs, columns[1:], strict=True):
            codes = _join_right(codes, column.find(values), column.width, distinct)
        return codes


def _distinct(pairs: Ints) -> tuple[Ints, Ints]:
    """Distinct numbers from -1 up, sorted, and each one's rank [n]; by a table where they are small, else by a sort."""
    largest = int(pairs.max(initial=-1))
    if largest > 4 * len(pairs) + 1024:
        distinct, rank = np.unique(pairs, return_inverse=True)
        return distinct, rank.reshape(-1)
    is_used = np.zeros(largest + 2, dtype=np.bool_)
    is_used[pairs + 1] = True
    return np.flatnonzero(is_used) - 1, (np.cumsum(is_used) - 1)[pairs + 1]


def _join_right(left: Ints, right: Ints, width: int, distinct: Ints) -> Ints:
    pairs = left * width + right
    place = np.searchsorted(distinct, pairs)
    exists = place < len(distinct)
    exists[exists] = distinct[place[exists]] == pairs[exists]
    joined = np.where(exists & (left >= 0) & (right >= 0), place, -2)
    return np.where((left == -1) | (right == -1), -1, joined)


def _rank_integers(values: pa.Array) -> tuple[Ints, Ints, int] | None:
    """Codes by rank, the rank of each integer from the least to the largest (-2: not used), and the least.

    None where there are nulls, or the table of ranks would be long.
    """
    if values.null_count:
        return None
    integers = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)
    least, largest = (int(integers.min()), int(integers.max())) if len(integers) else (0, -1)
    if largest - least > 4 * len(integers) + 1024:
        return None
    is_used = np.zeros(largest - least + 1, dtype=np.bool_)
    is_used[integers - least] = True
    rank = np.where(is_used, np.cumsum(is_used) - 1, -2)
    return rank[integers - least], rank, least


def are_distinct(columns: Sequence[pa.Array]) -> bool:
    """Whether integers ascend, so that no two are the same; a cheap test that a table's key mostly passes."""
    if len(columns) != 1 or not pa.types.is_integer(columns[0].type) or columns[0].null_count:
        return False
    values = columns[0].to_numpy()
    return bool((values[1:] > values[:-1]).all())


def plain(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array without a dictionary, text always as `string`."""
    array = as_array(values)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array
