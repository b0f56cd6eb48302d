"""Validate request rows: the join keys and the row's own columns known at the cutoff; convert them to Arrow arrays.

Values are JSON values. A column that the model needs must be present and may be null; others are ignored
(`serving.flags` names those that the spine's table does not have). Times
are written as the sources write them (`headrace.lake.times`); one without a zone is refused unless the table has `tz`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from headrace.core.clock import iso
from headrace.core.errors import DataError
from headrace.lake.keys import KeyValue, key_value, read_value
from headrace.lake.times import TimeFormat
from headrace.schema import Problem, Table
from headrace.serving.values import LONGEST_NAME, Value, check_value, request_time, require_storable, type_error
from headrace.store.published import LAKE_TYPES, KeyType
from headrace.synthesis.language.definitions import Definition, Kind, row_columns

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
        known = self._time_formats.get((name, is_key))
        if known is None:
            form = TimeFormat.of(self.table, name) if self.table is not None else TimeFormat()
            known = self._time_formats[name, is_key] = replace(form, any_date=form.any_date or is_key)
        return known

    @cached_property
    def _time_formats(self) -> dict[tuple[str, bool], TimeFormat]:
        return {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All required columns, each once."""
        return tuple(dict.fromkeys((*self.join_keys, *self.columns)))

    @cached_property
    def own_fields(self) -> frozenset[str]:
        """All columns that a request may have, apart from `ignored`."""
        return frozenset((*self.names, *self.row_key, *((self.time,) if self.time else ())))


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
        time_us=request_time(time, schema.time_format(schema.time or ""), f"{where}, {schema.time}"),
        row_key_values={name: _row_key_value(schema, row[name], name, where) for name in schema.row_key if name in row},
        raw={name: row[name] for name in schema.columns},
    )


def row_columns_as_arrays(schema: RequestSchema, rows: Sequence[RequestRow]) -> dict[str, pa.Array]:
    """Return the rows' own columns as arrays [n]."""
    return {
        name: pa.array([item.columns[name] for item in rows], type=ARROW_TYPES[kind])
        for name, kind in schema.columns.items()
    }


def is_plain_key(kind: KeyType | None, value: Any) -> bool:
    """Whether a value is in its canonical form as it stands: most are, and the full check takes ten times as long."""
    if type(value) is str:
        return kind in (None, "string") and len(value) <= LONGEST_NAME and value.isascii()
    return type(value) is int and kind in (None, "int64") and -(2**63) <= value < 2**63


def _key(schema: RequestSchema, value: Any, name: str, where: str) -> KeyValue:
    """Return a join key in its canonical form."""
    kind = schema.key_types.get(name)
    if is_plain_key(kind, value):
        return value  # type: ignore[no-any-return]
    location = f"{where}, {name}"
    require_storable(value, location)
    if kind == "time":
        instant = request_time(value, schema.time_format(name, is_key=True), location)
        return None if instant is None else iso(instant)
    if kind not in (None, "string", "int64"):
        return read_value(value, LAKE_TYPES[kind], location)
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise type_error(value, "a text, a whole number or null", location)


def _row_key_value(schema: RequestSchema, value: Any, name: str, where: str) -> KeyValue:
    """Return a part of the spine row's key.

    A column of unknown type accepts any scalar: the join with the labels converts it by its type in the lake.
    """
    if name in schema.key_types or name in schema.join_keys:
        return _key(schema, value, name, where)
    require_storable(value, f"{where}, {name}")
    if not isinstance(value, str | int | float | None) or (isinstance(value, float) and not math.isfinite(value)):
        raise type_error(value, "a text, a number, true, false or null", f"{where}, {name}")
    return key_value(value)


def _value(schema: RequestSchema, kind: Kind, value: Any, name: str, where: str) -> Value:
    if value is None:
        return None
    if type(value) is float and kind == "numeric" and math.isfinite(value):
        return value
    if type(value) is str and kind == "categorical" and len(value) <= LONGEST_NAME and value.isascii():
        return value
    if kind == "time":
        return request_time(value, schema.time_format(name), f"{where}, {name}")
    return check_value(kind, value, f"{where}, {name}")
