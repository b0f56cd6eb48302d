"""Convert Feast values to SQLite cells and back, without loss, for the online store.

A value of a scalar type is an SQLite number or text. Every other value (lists, sets, maps, bytes, JSON, NaN, a value of
another type than the field's) is its serialised protobuf. No scalar is stored as bytes, so bytes are always a protobuf.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from feast.protos.feast.types.Value_pb2 import Value as ValueProto
from feast.types import Bool, FeastType, Float32, Float64, Int32, Int64, String, UnixTimestamp

Cell = float | int | str | bytes | None

#: Field type -> the protobuf's member that holds its values.
_SCALAR_MEMBERS: dict[FeastType, str] = {
    Float64: "double_val",
    Float32: "float_val",
    Int64: "int64_val",
    Int32: "int32_val",
    Bool: "bool_val",
    String: "string_val",
    UnixTimestamp: "unix_timestamp_val",
}


def to_cell(value: ValueProto, dtype: FeastType) -> Cell:
    """Convert a value of a field to a cell; None where there is no value."""
    member = value.WhichOneof("val")
    if member is None:
        return None
    scalar: Cell = getattr(value, member)
    if member != _SCALAR_MEMBERS.get(dtype) or _is_nan(scalar):  # SQLite would keep a NaN as null
        serialised: bytes = value.SerializeToString()
        return serialised
    return scalar


def to_scalar_cell(value: ValueProto, dtype: FeastType) -> Cell:
    """Convert a value to a scalar cell, for views that are read without Feast; NaN becomes None.

    Raises:
        TypeError: The value has another type than the field.
    """
    member = value.WhichOneof("val")
    if member is None or member == "null_val":
        return None
    scalar: Cell = getattr(value, member)
    if member != _SCALAR_MEMBERS.get(dtype):
        raise TypeError(f"a value of type {member.removesuffix('_val')} in a column of {dtype}")
    return None if _is_nan(scalar) else scalar


def _is_nan(scalar: object) -> bool:
    return isinstance(scalar, float) and math.isnan(scalar)


def from_cell(dtype: FeastType) -> Callable[[Cell], ValueProto]:
    """Return the function that converts cells of a field back to values."""
    member = _SCALAR_MEMBERS.get(dtype)

    def decode(cell: Cell) -> ValueProto:
        value = ValueProto()
        if isinstance(cell, bytes):
            value.ParseFromString(cell)
        elif cell is not None and member is not None:
            setattr(value, member, bool(cell) if member == "bool_val" else cell)
        return value

    return decode
