"""Hash join keys of any table: keys that an engine finds equal have the same hash, on any machine and in any process.

Engines compare a key of the spine with a table's after a cast to the table's type. So integers and floats are hashed
as float64 (large integers may share a hash, which only puts them into one partition), text as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.synthesis.history.keys import plain
from headrace.synthesis.language.columns import is_text
from headrace.synthesis.language.values import Ints, as_array

Hashes = npt.NDArray[np.uint64]

#: Keys are counted and assigned to partitions by the first bits of their hash.
BUCKETS = 2**16
_SHIFT = np.uint64(64 - 16)


def key_class(kind: pa.DataType) -> str:
    """number, text, time or null: keys of one class can be compared.

    Raises:
        DataError: keys of this type have no hash.
    """
    if pa.types.is_null(kind):
        return "null"
    if is_text(kind):
        return "text"
    if pa.types.is_dictionary(kind):
        return key_class(kind.value_type)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return "number"
    raise DataError(f"keys of type {kind} cannot be partitioned", fix='use engine="local", or write them as text')


def key_hashes(columns: Sequence[Any]) -> Hashes:
    """64-bit hashes [n] of keys of one or several columns. A null is a value like any other."""
    result = _column_hashes(columns[0])
    for column in columns[1:]:
        result = _mix(result * np.uint64(31) + _column_hashes(column))
    return result


def buckets(hashes: Hashes) -> Ints:
    """The bucket of each hash [n], from 0 to BUCKETS - 1."""
    return (hashes >> _SHIFT).astype(np.int64)


def _column_hashes(values: Any) -> Hashes:
    column = plain(as_array(values))
    kind = key_class(column.type)
    if kind == "null":
        return np.zeros(len(column), dtype=np.uint64)
    if kind == "text":
        return _text_hashes(column)
    if kind == "time":
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    column = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    numbers = pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy(zero_copy_only=False)
    return _mix((numbers + 0.0).view(np.uint64))


def _text_hashes(column: pa.Array) -> Hashes:
    """Each distinct text is hashed once, by pandas' hash, which is the same in every process."""
    from pandas.util import hash_array

    encoded = column.dictionary_encode()
    distinct = np.asarray(encoded.dictionary.to_numpy(zero_copy_only=False), dtype=object)
    hashes = np.append(hash_array(distinct, categorize=False), np.uint64(0)).astype(np.uint64)
    at = pc.fill_null(encoded.indices.cast(pa.int64()), len(distinct)).to_numpy(zero_copy_only=False)
    return _mix(hashes[at])


def _mix(x: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input changes half of the output."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
