"""What a request must carry, and its values as Arrow arrays: join keys, and the row's own columns known at the cutoff.

Values come from JSON. A column that a model needs must be there, and may be null; one that it does not need is
ignored. Times are ISO strings with a zone: a naive one is refused with the column's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from headrace.core.clock import to_us
from headrace.core.errors import DataError
from headrace.lake.keys import KeyValue, key_value, read_value
from headrace.schema import Problem
from headrace.store.published import LAKE_TYPES, KeyType
from headrace.synthesis.definitions import Definition, Kind, row_columns

Value = str | float | bool | int | None

ARROW_TYPES: Mapping[Kind, pa.DataType] = {
    "numeric": pa.float64(),
    "boolean": pa.bool_(),
    "categorical": pa.string(),
    "text": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The columns of a request for one model. join_keys find the entities; columns go into the model, by kind.

    row_key: columns that name the spine's row, where a request has them. key_types: what is known of the keys' types.
    """

    join_keys: tuple[str, ...]
    columns: Mapping[str, Kind]
    time: str | None = None
    row_key: tuple[str, ...] = ()
    key_types: Mapping[str, KeyType] = field(default_factory=dict)

    @classmethod
    def of(
        cls, problem: Problem, definitions: Sequence[Definition], key_types: Mapping[str, KeyType] | None = None
    ) -> Needs:
        """What a model with these definitions needs. key_types: of the join keys, as published."""
        kinds, table = {item.column: item.kind for item in row_columns(definitions)}, problem.spine_table
        times: dict[str, KeyType] = dict.fromkeys(table.time_columns, "time")
        return cls(
            join_keys=problem.join_keys,
            columns=kinds,
            time=table.time,
            row_key=table.keys,
            key_types={**times, **(key_types or {})},
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that must be there, each once."""
        return tuple(dict.fromkeys((*self.join_keys, *self.columns)))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One checked row. named: what it tells of the spine row's key. time_us: its event time, where it names that."""

    keys: Mapping[str, KeyValue]
    columns: Mapping[str, Value]
    time_us: int | None
    named: Mapping[str, KeyValue] = field(default_factory=dict)


def check_row(needs: Needs, row: Mapping[str, Any], where: str) -> Asked:
    """A row's keys and columns. Raises DataError naming the first column that is absent or of a wrong type."""
    missing = [name for name in needs.names if name not in row]
    if missing:
        raise DataError(
            f"lacks {', '.join(missing)}",
            where=where,
            found=list(row) or ["no columns"],
            fix=f"send every one of {', '.join(needs.names)}; null where it is not known",
        )
    time = row.get(needs.time) if needs.time else None
    return Asked(
        keys={name: _key(needs, row[name], name, where) for name in needs.join_keys},
        columns={name: _value(kind, row[name], f"{where}, {name}") for name, kind in needs.columns.items()},
        time_us=_time(time, f"{where}, {needs.time}"),
        named={name: _named(needs, row[name], name, where) for name in needs.row_key if name in row},
    )


def columns_of(needs: Needs, asked: Sequence[Asked]) -> dict[str, pa.Array]:
    """The rows' own columns as arrays [n rows]."""
    return {
        name: pa.array([item.columns[name] for item in asked], type=ARROW_TYPES[kind])
        for name, kind in needs.columns.items()
    }


def _key(needs: Needs, value: Any, name: str, where: str) -> KeyValue:
    """A join key in its canonical form. Whole numbers and texts are told apart by the store."""
    kind, place = needs.key_types.get(name), f"{where}, {name}"
    if kind == "time":
        _time(value, place, dates=True)  # says what is wrong with it
    if kind not in (None, "string", "int64"):
        return read_value(value, LAKE_TYPES[kind], place)
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise _wrong(value, "a text, a whole number or null", place)


def _named(needs: Needs, value: Any, name: str, where: str) -> KeyValue:
    """A part of the spine row's key. Of a column whose type nothing here tells, any plain value: the label's join
    reads it by the type that it has in the lake."""
    if name in needs.key_types or name in needs.join_keys:
        return _key(needs, value, name, where)
    if not isinstance(value, str | int | float | None) or (isinstance(value, float) and not math.isfinite(value)):
        raise _wrong(value, "a text, a number, true, false or null", f"{where}, {name}")
    return key_value(value)


def _value(kind: Kind, value: Any, where: str) -> Value:
    if value is None:
        return None
    return _READERS[kind](value, where)


def _numeric(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(value, "a finite number or null", where)
    return float(value)


def _categorical(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _wrong(value, "a text or null", where)
    return str(value)


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "true, false or null", where)
    return value


def _time(value: Any, where: str, *, dates: bool = False) -> int | None:
    """An instant (us). dates: a bare date is its midnight in UTC."""
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
        if dates and len(value) == len("2013-05-01"):
            instant = instant.replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise _wrong(value, "an ISO time with its zone, such as 2013-05-01T12:00:00Z", where) from None
    if instant.tzinfo is None:
        raise DataError(
            f"{value} has no time zone", where=where, fix=f"write {value}Z if it is UTC, or its offset: {value}-05:00"
        )
    return to_us(instant)


def _wrong(value: Any, wanted: str, where: str) -> DataError:
    return DataError(f"must be {wanted}", where=where, found=[repr(value)[:80]])


_READERS: Mapping[Kind, Callable[[Any, str], Value]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "text": _categorical,
    "boolean": _boolean,
    "time": _time,
}
