"""Keys, one column or several, as dense integer codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.synthesis.values import Ints, as_array


def encode_rows(columns: Sequence[pa.Array]) -> tuple[Ints, int]:
    """Codes [n] of rows by the values of some columns, -1 where one of them is null; and the number of codes."""
    codes, _ = encode_pairs(columns, [column.slice(0, 0) for column in columns])
    return codes, int(codes.max(initial=-1)) + 1


def encode_pairs(left: Sequence[pa.Array], right: Sequence[pa.Array]) -> tuple[Ints, Ints]:
    """Codes of two sets of rows in one numbering that the left alone decides.

    A row of the right that is not in the left gets -2; one with a null, on either side, -1.
    """
    ours, theirs = _encode_column(left[0], right[0])
    for mine, other in zip(left[1:], right[1:], strict=True):
        more_ours, more_theirs = _encode_column(mine, other)
        width = int(more_ours.max(initial=-1)) + 1
        null = (ours < 0) | (more_ours < 0)
        pairs = np.where(null, -1, ours * width + more_ours)
        distinct, dense = _distinct(pairs)
        shift = 1 if len(distinct) and distinct[0] == -1 else 0
        distinct = distinct[shift:]
        theirs = _join_right(theirs, more_theirs, width, distinct)
        ours = dense.astype(np.int64) - shift
    return ours, theirs


def _distinct(pairs: Ints) -> tuple[Ints, Ints]:
    """Distinct numbers from -1 up, sorted, and each one's rank [n]; by a table where they are small, else by a sort."""
    largest = int(pairs.max(initial=-1))
    if largest > 4 * len(pairs) + 1024:
        distinct, rank = np.unique(pairs, return_inverse=True)
        return distinct, rank.reshape(-1)
    there = np.zeros(largest + 2, dtype=np.bool_)
    there[pairs + 1] = True
    return np.flatnonzero(there) - 1, (np.cumsum(there) - 1)[pairs + 1]


def _join_right(left: Ints, right: Ints, width: int, distinct: Ints) -> Ints:
    pairs = left * width + right
    place = np.searchsorted(distinct, pairs)
    found = place < len(distinct)
    found[found] = distinct[place[found]] == pairs[found]
    joined = np.where(found & (left >= 0) & (right >= 0), place, -2)
    return np.where((left == -1) | (right == -1), -1, joined)


def _encode_column(left: pa.Array, right: pa.Array) -> tuple[Ints, Ints]:
    left, right = plain(left), plain(right)
    if right.type != left.type:
        try:
            right = right.cast(left.type)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"a key of type {right.type} does not fit {left.type}", fix=f"send the key as {left.type} ({error})"
            ) from None
    if pa.types.is_integer(left.type) and left.type != pa.uint64():
        ranked = _rank_integers(left, right)
        if ranked is not None:
            return ranked
    encoded = left.dictionary_encode()
    ours = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    found = pc.fill_null(pc.index_in(right, value_set=encoded.dictionary).cast(pa.int64()), -2)
    theirs = np.where(pc.is_null(right).to_numpy(zero_copy_only=False), -1, found.to_numpy(zero_copy_only=False))
    return np.asarray(ours, dtype=np.int64), np.asarray(theirs, dtype=np.int64)


def _rank_integers(left: pa.Array, right: pa.Array) -> tuple[Ints, Ints] | None:
    """Codes by rank, through a table of the integers between the least and the largest; None where that were long."""
    ours, theirs = (np.asarray(pc.fill_null(side, 0).to_numpy(), dtype=np.int64) for side in (left, right))
    null, their_null = (np.asarray(side.is_null().to_numpy(zero_copy_only=False)) for side in (left, right))
    if null.any():
        return None
    least, largest = (int(ours.min()), int(ours.max())) if len(ours) else (0, -1)
    if largest - least > 4 * len(ours) + 1024:
        return None
    there = np.zeros(largest - least + 1, dtype=np.bool_)
    there[ours - least] = True
    rank = np.where(there, np.cumsum(there) - 1, -2)
    inside = (theirs >= least) & (theirs <= largest)
    found = np.full(len(theirs), -2, dtype=np.int64)
    found[inside] = rank[theirs[inside] - least]
    found[their_null] = -1
    return rank[ours - least], found


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
