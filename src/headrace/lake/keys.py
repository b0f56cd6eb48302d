"""The canonical form of key values outside Arrow: prediction log, ids, JSON, the online store, the command line.

type in the lake    canonical form
string              the text
int64               int
float64             int where it is whole, else float
bool                bool
timestamp           ISO 8601 in UTC, 2024-03-01T12:00:00Z, with microseconds where there are some
null                None

Two rows have the same key exactly where these forms are equal. A request or a person may write a value differently
(`2024-03-01T13:00:00+01:00`, "7" for 7); it is converted by the type of its column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from headrace.core.clock import iso, to_us
from headrace.core.errors import DataError

KeyValue = str | int | float | bool | None
Key = tuple[KeyValue, ...]

_INT64 = 2**63


def key_value(value: Any) -> KeyValue:
    """Return the canonical form of a value of any Arrow type; DataError for a naive time, which is no instant."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return iso(to_us(value))
    if isinstance(value, date) and not isinstance(value, datetime):
        return iso(to_us(datetime.combine(value, time(), UTC)))
    raise DataError(f"a {type(value).__name__} cannot be part of a key", found=[repr(value)[:80]])


def row_keys(rows: pa.Table, names: Sequence[str]) -> list[Key]:
    """Return the canonical key of every row [n]."""
    columns = [[key_value(value) for value in rows[name].to_pylist()] for name in names]
    return list(zip(*columns, strict=True))


def key_json(key: Iterable[KeyValue]) -> str:
    """Return a canonical key as JSON text; equal keys have equal texts."""
    return json.dumps(list(key), allow_nan=False)


def value_text(value: KeyValue) -> str | None:
    """Return a canonical value as a text that Arrow casts back to the column's type."""
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def read_value(value: Any, kind: pa.DataType, where: str = "") -> KeyValue:
    """Convert a value from a request or a person to the canonical form of a column's type.

    Args:
        value: The value as written.
        kind: Arrow type of the column.
        where: Place of the value, for errors.

    Raises:
        DataError: The value cannot be of this type.
    """
    if value is None:
        return None
    for has_type, read, expected in _READERS:
        if has_type(kind):
            try:
                return read(value)
            except (TypeError, ValueError, OverflowError, DataError):
                raise DataError(f"must be {expected}", where=where, found=[repr(value)[:80]]) from None
    raise DataError(f"a column of type {kind} is no key", where=where)


def read_logged_key(key: Sequence[Any], kinds: Sequence[pa.DataType]) -> Key:
    """Convert a key of the prediction log by the types of its columns; parts of another type stay unchanged."""
    if len(key) != len(kinds):
        return tuple(key)
    return tuple(_read_or_raw(value, kind) for value, kind in zip(key, kinds, strict=True))


def _read_or_raw(value: Any, kind: pa.DataType) -> KeyValue:
    try:
        return read_value(value, kind)
    except DataError:
        return value if isinstance(value, str | int | float) else str(value)


def _read_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(value)
    return str(value)


def _read_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError(value)
    number = int(value)
    if not -_INT64 <= number < _INT64:
        raise OverflowError(value)
    return number


def _read_float(value: Any) -> KeyValue:
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise TypeError(value)
    return key_value(float(value))


def _read_bool(value: Any) -> bool:
    parsed = {"true": True, "false": False}.get(str(value).lower()) if isinstance(value, str) else value
    if not isinstance(parsed, bool):
        raise TypeError(value)
    return parsed


def _read_time(value: Any) -> KeyValue:
    """A text with its zone, or a bare date: its midnight in UTC, as the lake keeps bare dates."""
    if not isinstance(value, str):
        return key_value(value) if isinstance(value, date) else iso(_read_int(value))
    text = value.strip()
    return key_value(date.fromisoformat(text) if len(text) == len("2024-03-01") else datetime.fromisoformat(text))


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], KeyValue], str], ...] = (
    (pa.types.is_timestamp, _read_time, "an ISO time with its zone, such as 2024-03-01T12:00:00Z, or null"),
    (pa.types.is_boolean, _read_bool, "true, false or null"),
    (pa.types.is_floating, _read_float, "a finite number or null"),
    (pa.types.is_integer, _read_int, "a whole number of 64 bits or null"),
    (pa.types.is_string, _read_text, "a text, a whole number or null"),
)
