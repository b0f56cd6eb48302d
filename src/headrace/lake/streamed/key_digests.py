"""64-bit digests of the keys of rows, to find rows that may have the same key in tables larger than memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Digests = npt.NDArray[np.uint64]

_NULL = np.uint64(0x9E3779B97F4A7C15)


def key_digests(rows: pa.Table, keys: Sequence[str]) -> Digests:
    """Return the digest of each row's key [n]: equal for equal keys; different keys share one by chance only.

    Args:
        rows: Rows of a table, with the types of the lake. A null is a value like any other.
        keys: Key columns.
    """
    digests = np.zeros(rows.num_rows, dtype=np.uint64)
    for name in keys:
        column = rows[name]
        values = np.where(column.is_null().to_numpy(), _NULL, _values(column))
        digests = _mix(digests * np.uint64(31) + values)
    return digests


def _values(column: pa.ChunkedArray) -> Digests:
    """A number for each value [n], equal for equal values; any number for a null."""
    if pa.types.is_null(column.type):
        return np.zeros(len(column), dtype=np.uint64)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _texts(column)
    if pa.types.is_floating(column.type):
        numbers = pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy() + 0.0  # -0.0 equals 0.0
        return np.asarray(numbers.view(np.uint64))
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    integers = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
    return np.asarray(np.ascontiguousarray(integers).view(np.uint64))


def _texts(column: pa.ChunkedArray) -> Digests:
    """Each distinct text is hashed once, by pandas' hash, which is the same in every process."""
    from pandas.util import hash_array

    encoded = pa.chunked_array([column.combine_chunks()]).dictionary_encode().combine_chunks()
    distinct = np.asarray(encoded.dictionary.to_numpy(zero_copy_only=False), dtype=object)
    hashes = np.append(hash_array(distinct, categorize=False), np.uint64(0)).astype(np.uint64)
    places = pc.fill_null(encoded.indices.cast(pa.int64()), len(distinct)).to_numpy(zero_copy_only=False)
    return np.asarray(hashes[places])


def _mix(x: Digests) -> Digests:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input changes half of the output."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
