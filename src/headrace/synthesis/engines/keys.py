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
        distinct, dense = np.unique(pairs, return_inverse=True)
        shift = 1 if len(distinct) and distinct[0] == -1 else 0
        distinct = distinct[shift:]
        theirs = _join_right(theirs, more_theirs, width, distinct)
        ours = dense.reshape(-1).astype(np.int64) - shift
    return ours, theirs


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
    encoded = left.dictionary_encode()
    ours = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    found = pc.fill_null(pc.index_in(right, value_set=encoded.dictionary).cast(pa.int64()), -2)
    theirs = np.where(pc.is_null(right).to_numpy(zero_copy_only=False), -1, found.to_numpy(zero_copy_only=False))
    return np.asarray(ours, dtype=np.int64), np.asarray(theirs, dtype=np.int64)


def plain(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array without a dictionary, text always as `string`."""
    array = as_array(values)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array
