"""Validate request rows: the join keys and the row's own columns known at the cutoff; convert them to Arrow arrays.

Values are JSON values. A column that the model needs must be present and may be null; others are ignored
(`serving.flags` names those that the spine's table does not have). Times
are written as the sources write them (`headrace.lake.times`); one without a zone is refused unless the table has `tz`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from headrace.core.clock import iso
from headrace.core.errors import DataError
from headrace.lake.keys import KeyValue, key_value, read_value
from headrace.lake.times import TimeFormat, value_instant
from headrace.schema import Problem, Table
from headrace.store.published import LAKE_TYPES, KeyType
from headrace.synthesis.language.definitions import Definition, Kind, row_columns

#: Characters of a key or a category, and of a text.
LONGEST_NAME = 10_000
LONGEST_TEXT = 1_000_000
_EXAMPLE_TIME = "2013-05-01T12:00:00Z"
_INT64 = range(-(2**63), 2**63)

Value = str | float | bool | int | None

ARROW_TYPES: Mapping[Kind, pa.DataType] = {
    "numeric": pa.float64(),
    "boolean": pa.bool_(),
    "categorical": pa.string(),
    "text": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, kw_only=True)
class RequestSchema:
    """The columns of a request for one model.

    Attributes:
        join_keys: Columns that identify the entities.
        columns: Column -> kind of the columns that enter the model.
        time: Column of the event time, None where there is none.
        row_key: Key columns of the spine's row; a request may have them.
        key_types: Key column -> type, as far as known.
        table: Declaration of the spine's table: how its times are written.
        ignored: Further columns that a request may have: those of the spine's table; None where they are not known.
        categories: Column -> values that the model was trained on.
    """

    join_keys: tuple[str, ...]
    columns: Mapping[str, Kind]
    time: str | None = None
    row_key: tuple[str, ...] = ()
    key_types: Mapping[str, KeyType] = field(default_factory=dict)
    table: Table | None = None
    ignored: frozenset[str] | None = None
    categories: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def from_definitions(
        cls, problem: Problem, definitions: Sequence[Definition], key_types: Mapping[str, KeyType] | None = None
    ) -> RequestSchema:
        """Return the request columns of a model with these definitions; `key_types` as published."""
        kinds, table = {item.column: item.kind for item in row_columns(definitions)}, problem.spine_table
        times: dict[str, KeyType] = dict.fromkeys(table.time_columns, "time")
        return cls(
            join_keys=problem.join_keys,
            columns=kinds,
            time=table.time,
            row_key=table.keys,
            key_types={**times, **(key_types or {})},
            table=table,
        )

    def time_format(self, name: str, *, is_key: bool = False) -> TimeFormat:
        """Return how times of a column are read: as those of the table's source; any date where it is a key."""
        form = TimeFormat.of(self.table, name) if self.table is not None else TimeFormat()
        return replace(form, any_date=form.any_date or is_key)

    @property
    def names(self) -> tuple[str, ...]:
        """All required columns, each once."""
        return tuple(dict.fromkeys((*self.join_keys, *self.columns)))


@dataclass(frozen=True, kw_only=True)
class RequestRow:
    """One validated row.

    Attributes:
        keys: Join keys in canonical form.
        columns: Values of the model's columns.
        time_us: Event time, None where the request has none.
        row_key_values: Parts of the spine row's key that the request has.
        raw: The model's columns as received.
        flags: Warnings about the row (`serving.flags`).
    """

    keys: Mapping[str, KeyValue]
    columns: Mapping[str, Value]
    time_us: int | None
    row_key_values: Mapping[str, KeyValue] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def check_row(schema: RequestSchema, row: Mapping[str, Any], where: str) -> RequestRow:
    """Validate one row.

    Args:
        schema: Columns of the request.
        row: Column -> JSON value.
        where: Name of the row for errors.

    Raises:
        DataError: A column is absent or has a wrong type; the first one is named.
    """
    missing = [name for name in schema.names if name not in row]
    if missing:
        raise DataError(
            f"lacks {', '.join(missing)}",
            where=where,
            found=list(row) or ["no columns"],
            fix=f"send every one of {', '.join(schema.names)}; null where it is not known",
        )
    time = row.get(schema.time) if schema.time else None
    return RequestRow(
        keys={name: _key(schema, row[name], name, where) for name in schema.join_keys},
        columns={name: _value(schema, kind, row[name], name, where) for name, kind in schema.columns.items()},
        time_us=_time(time, schema.time_format(schema.time or ""), f"{where}, {schema.time}"),
        row_key_values={name: _row_key_value(schema, row[name], name, where) for name in schema.row_key if name in row},
        raw={name: row[name] for name in schema.columns},
    )


def row_columns_as_arrays(schema: RequestSchema, rows: Sequence[RequestRow]) -> dict[str, pa.Array]:
    """Return the rows' own columns as arrays [n]."""
    return {
        name: pa.array([item.columns[name] for item in rows], type=ARROW_TYPES[kind])
        for name, kind in schema.columns.items()
    }


def _key(schema: RequestSchema, value: Any, name: str, where: str) -> KeyValue:
    """Return a join key in its canonical form."""
    kind, location = schema.key_types.get(name), f"{where}, {name}"
    _require_storable(value, location)
    if kind == "time":
        instant = _time(value, schema.time_format(name, is_key=True), location)
        return None if instant is None else iso(instant)
    if kind not in (None, "string", "int64"):
        return read_value(value, LAKE_TYPES[kind], location)
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise _type_error(value, "a text, a whole number or null", location)


def _row_key_value(schema: RequestSchema, value: Any, name: str, where: str) -> KeyValue:
    """Return a part of the spine row's key.

    A column of unknown type accepts any scalar: the join with the labels converts it by its type in the lake.
    """
    if name in schema.key_types or name in schema.join_keys:
        return _key(schema, value, name, where)
    _require_storable(value, f"{where}, {name}")
    if not isinstance(value, str | int | float | None) or (isinstance(value, float) and not math.isfinite(value)):
        raise _type_error(value, "a text, a number, true, false or null", f"{where}, {name}")
    return key_value(value)


def _value(schema: RequestSchema, kind: Kind, value: Any, name: str, where: str) -> Value:
    if value is None:
        return None
    if kind == "time":
        return _time(value, schema.time_format(name), f"{where}, {name}")
    return _READERS[kind](value, f"{where}, {name}")


def check_value(kind: Literal["numeric", "categorical", "text", "boolean"], value: Any, where: str) -> Value:
    """Return a JSON value that is not null, checked; of another type than its kind it raises DataError."""
    return _READERS[kind](value, where)


def _numeric(value: Any, where: str) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:  # an integer of four hundred digits
            number = math.inf
        if math.isfinite(number):
            return number
    raise _type_error(value, "a finite number or null", where)


def _categorical(value: Any, where: str, longest: int = LONGEST_NAME) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _type_error(value, "a text or null", where)
    return _text(str(value), where, longest)


def _long_text(value: Any, where: str) -> str:
    return _categorical(value, where, LONGEST_TEXT)


def _require_storable(value: Any, where: str) -> None:
    """Check that a part of a key can be stored, whatever type the key has."""
    if isinstance(value, str):
        _text(value, where, LONGEST_NAME)
    if isinstance(value, int) and value not in _INT64:
        raise _type_error(value, "a whole number of 64 bits", where)
    if isinstance(value, float) and not math.isfinite(value):
        raise _type_error(value, "a finite number or null", where)


def _text(value: str, where: str, longest: int) -> str:
    """Check that a text can be stored: a lone surrogate such as JSON's \\ud800 cannot be encoded as UTF-8."""
    if len(value) > longest:
        raise DataError(f"must have at most {longest:,} characters", where=where, found=[f"{len(value):,}"])
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _type_error(value, "a text of whole characters", where) from None
    return value


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _type_error(value, "true, false or null", where)
    return value


def _time(value: Any, form: TimeFormat, where: str) -> int | None:
    """Return an instant, microseconds UTC. The advice of its errors can be followed literally."""
    if isinstance(value, str):
        _require_zone(value, form, where)
    try:
        return value_instant(value, form, where)
    except DataError as error:
        if error.what.startswith("not a time"):
            raise _type_error(value, f"an ISO time with its zone, such as {_EXAMPLE_TIME}", where) from None
        # Whoever sends a request cannot declare another zone or resolution, as the lake's advice is.
        fix = f"write the whole time with its zone, as in {_EXAMPLE_TIME}"
        raise DataError(error.what, where=where, found=error.found, fix=fix) from None


def _require_zone(text: str, form: TimeFormat, where: str) -> None:
    """Check that a text which is a time has a zone, from itself or from the table."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return
    is_date = len(text) <= len("2013-05-01")
    if moment.tzinfo is not None or (form.accepts("date") if is_date else form.tz is not None):
        return
    whole = moment.isoformat()
    raise DataError(
        f"{text} has no time zone",
        where=where,
        fix=f"write {whole}Z if it is UTC, or its offset: {whole}-05:00",
    )


def _type_error(value: Any, expected: str, where: str) -> DataError:
    return DataError(f"must be {expected}", where=where, found=[_short(value)])


def _short(value: Any) -> str:
    """Return a short representation of a value; a long number or text is not formatted in full."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length():,} bits"
    return repr(value)[:80]


_READERS: Mapping[Kind, Callable[[Any, str], Value]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "text": _long_text,
    "boolean": _boolean,
}
