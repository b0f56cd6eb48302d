"""Convert values between Arrow and numpy by kind. No other module decides how a kind is represented.

kind                in Arrow (stored, finished)     in numpy
numeric, boolean    float64, null = missing         float64, NaN = missing
categorical         string, null = missing          object of str / None, or codes with -1
text                string, null = missing          Arrow strings
time                int64 microseconds, null        int64, NEVER = missing
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import NEVER

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: A number whose magnitude is larger counts as missing, as NaN and the infinities do: its cube would overflow.
LARGEST = 1e100


def arrow_type(kind: str) -> pa.DataType:
    """The Arrow type of stored and finished values of a kind."""
    return {"categorical": pa.string(), "text": pa.string(), "time": pa.int64()}.get(kind, pa.float64())


def as_array(values: Any) -> pa.Array:
    """One Arrow array from an array, a chunked array, numpy or a list."""
    if isinstance(values, pa.ChunkedArray):
        combined = values.combine_chunks()
        return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined
    if isinstance(values, pa.Array):
        return values
    return pa.array(values, from_pandas=True)


def numbers(values: Any) -> Floats:
    """float64 [n]; missing, not finite or above LARGEST is NaN. Booleans are 1 and 0."""
    array = as_array(values)
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    if array.type != pa.float64():
        array = array.cast(pa.int8()) if pa.types.is_boolean(array.type) else array
        array = array.cast(pa.float64(), safe=False)
    result: Floats = np.array(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        result[~(np.abs(result) <= LARGEST)] = np.nan
    return result


def instants(values: Any) -> Ints:
    """int64 microseconds [n], NEVER where missing; from timestamps, dates, or microseconds themselves."""
    array = as_array(values)
    if pa.types.is_null(array.type):
        return np.full(len(array), NEVER, dtype=np.int64)
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us", tz=array.type.tz), safe=False)
    array = array.cast(pa.int64(), safe=False)
    return np.array(pc.fill_null(array, NEVER).to_numpy(zero_copy_only=False), dtype=np.int64)


def texts(values: Any) -> pa.Array:
    """Strings; other values are converted to strings (an integer key `7` to `"7"`)."""
    array = as_array(values)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array if array.type == pa.string() else array.cast(pa.string())


def categories(values: Any) -> tuple[Ints, pa.Array]:
    """Codes [n] (-1 = missing) and the categories, sorted: a code is its category's rank."""
    array = as_array(values)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    encoded = array.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return np.where(codes >= 0, rank[codes] if len(rank) else -1, -1), encoded.dictionary.take(order)


def to_arrow(values: Any, kind: str) -> pa.Array:
    """The Arrow form of a numpy result of a kind."""
    if kind in ("categorical", "text"):
        return texts(values)
    if kind == "time":
        return pa.array(values, type=pa.int64(), mask=np.asarray(values) == NEVER)
    return pa.array(values, type=pa.float64(), mask=np.isnan(values))
