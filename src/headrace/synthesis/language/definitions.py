"""Feature definitions: pure, serialisable data that says what a feature means, not how it is computed.

A definition is one of
  RowColumn   a column of the spine's own row that is known at the cutoff (it travels with a prediction request)
  Direct      a column of an entity's parent row, as known at the tick
  Aggregate   a primitive over the rows of a table that share the entity's key, within a lookback, as known at the tick
  Transform   a primitive over other definitions of the same spine row
  Grouped     a primitive over the rows of the same table that share a key with a row (its previous value, say)

Direct and Aggregate are *stored*: a feature view holds them. RowColumn and Transform are *finished at read*, from
stored values and the request, by the same function online and in training.

Stacking: what an Aggregate aggregates (`value`), what it is filtered by (`where`) and what a Direct reads (`value`) may
be a definition itself, *relative to a row of its table*. There the `entity` of an inner Direct or Aggregate is the
row's column that leads on (several are written `a+b`), and a RowColumn is a column of that row. All are evaluated at
the query's tick, not at the row's time. A Grouped exists only there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from headrace.core.clock import format_duration

Kind = Literal["numeric", "categorical", "boolean", "time", "text"]

#: A slug with a digest begins with this many letters of the name.
_READABLE = 80


@lru_cache(maxsize=2**16)
def _slug(text: str) -> str:
    return re.sub(r"_+", "_", re.sub(r"\W", "_", text)).strip("_").lower()


def _stacked_slug(name: str) -> str:
    """Names of stacked features are long and differ in characters that a slug drops: a digest distinguishes them."""
    return f"{_slug(name)[:_READABLE].rstrip('_')}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, kw_only=True)
class RowColumn:
    """A column of the spine's own row."""

    column: str
    kind: Kind

    @property
    def name(self) -> str:
        return self.column

    @property
    def slug(self) -> str:
        return _slug(self.column)


@dataclass(frozen=True, kw_only=True)
class Direct:
    """A column of the entity's parent row: `plane.planes.seats`; with `value`, what that row itself leads to."""

    entity: str
    table: str
    column: str
    kind: Kind
    value: Definition | None = None

    @property
    def name(self) -> str:
        return f"{self.entity}.{self.table}.{self.column if self.value is None else self.value.name}"

    @property
    def slug(self) -> str:
        return _slug(self.name) if self.value is None else _stacked_slug(self.name)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A where-clause: a definition relative to the aggregated row, compared with a value. A missing one never holds."""

    on: Definition
    operator: Literal["==", "!=", ">", ">=", "<", "<="]
    value: float | str

    @property
    def name(self) -> str:
        sign = "=" if self.operator == "==" else self.operator
        value = self.value if isinstance(self.value, str) else format(self.value, ".17g")
        return f"{self.on.name} {sign} {value}"


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A primitive over an entity's rows: `origin.MEAN(flights.dep_delay, 7d)`.

    Attributes:
        entity: its name; of an inner definition the row's columns that lead to the rows.
        table: whose rows are aggregated.
        keys: the columns of `table` with the entity's join keys, in the entity's order; `session_id.sessions.customer`
            is a column of a parent row, reached through the row's `session_id`.
        column: what is aggregated; "" for the rows themselves.
        primitive: name of the aggregation.
        lookback_us: in us; None: all history.
        kind: of the result; "time" for an anchor (an instant that a Transform finishes at read).
        on: "known": lookbacks are on effective known time; "event": on event time, of rows known before the tick.
        part: which output of a primitive with several.
        value: a definition relative to the row, in place of `column`.
        where: only rows that meet this condition are aggregated.
    """

    entity: str
    table: str
    keys: tuple[str, ...]
    column: str
    primitive: str
    lookback_us: int | None
    kind: Kind
    on: Literal["known", "event"] = "known"
    part: int | None = None
    value: Definition | None = None
    where: Condition | None = None

    @property
    def name(self) -> str:
        value = self.column if self.value is None else self.value.name
        path = f"{self.table}.{value}" if value else self.table
        where = "" if self.where is None else f" WHERE {self.where.name}"
        span = "" if self.lookback_us is None else f", {format_duration(self.lookback_us)}"
        clock = " on event" if self.on == "event" else ""
        by = f" by {'+'.join(self.keys)}"
        part = "" if self.part is None else f"[{self.part}]"
        return f"{self.entity}.{self.primitive.upper()}({path}{where}{span}{clock}{by}){part}"

    @property
    def slug(self) -> str:
        stacked = self.value is not None or self.where is not None or any("." in key for key in self.keys)
        return _stacked_slug(self.name) if stacked else _slug(self.name)


@dataclass(frozen=True, kw_only=True)
class Grouped:
    """A primitive over a row and the rows before it that share `keys`: `PREVIOUS(delay by plane)`.

    Rows known before the query's tick are ordered by the instant since which they have their present values, then by
    append.

    Attributes:
        table: of the rows.
        keys: columns that the rows share.
        primitive: name of the running primitive.
        value: a definition that reads the row alone.
        kind: of the result.
    """

    table: str
    keys: tuple[str, ...]
    primitive: str
    value: Definition
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.primitive.upper()}({self.value.name} by {'+'.join(self.keys)})"

    @property
    def slug(self) -> str:
        return _stacked_slug(self.name)


@dataclass(frozen=True, kw_only=True)
class Transform:
    """A primitive over definitions of the same spine row: `HAVERSINE(origin.lat, ...)`."""

    primitive: str
    inputs: tuple[Definition, ...]
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.primitive.upper()}({', '.join(item.name for item in self.inputs)})"

    @property
    def slug(self) -> str:
        return _slug(self.name)


Definition = RowColumn | Direct | Aggregate | Transform | Grouped
Stored = Direct | Aggregate
_CLASSES: dict[str, Any] = {cls.__name__: cls for cls in (RowColumn, Direct, Aggregate, Transform, Grouped)}


def leaves(definition: Definition) -> Iterator[Definition]:
    """The definitions below the transforms of a definition: itself, if it is no Transform."""
    if isinstance(definition, Transform):
        for item in definition.inputs:
            yield from leaves(item)
    else:
        yield definition


def stored(definitions: Iterable[Definition]) -> tuple[Stored, ...]:
    """The Direct and Aggregate definitions that these read, each once, in first-use order."""
    below = (leaf for definition in definitions for leaf in leaves(definition))
    return tuple(dict.fromkeys(leaf for leaf in below if isinstance(leaf, Direct | Aggregate)))


def row_columns(definitions: Iterable[Definition]) -> tuple[RowColumn, ...]:
    """The request columns that these read, each once."""
    below = (leaf for definition in definitions for leaf in leaves(definition))
    return tuple(dict.fromkeys(leaf for leaf in below if isinstance(leaf, RowColumn)))


def to_json(definition: Definition) -> dict[str, Any]:
    """A definition as JSON values; `from_json` reads it back equal. Fields that are not set are left out."""
    data: dict[str, Any] = {"is": type(definition).__name__, **vars(definition)}
    for name in ("part", "value", "where"):
        if name in data and data[name] is None:
            del data[name]
    if "inputs" in data:
        data["inputs"] = [to_json(item) for item in data["inputs"]]
    if "keys" in data:
        data["keys"] = list(data["keys"])
    if "value" in data:
        data["value"] = to_json(data["value"])
    if "where" in data:
        data["where"] = {**vars(data["where"]), "on": to_json(data["where"].on)}
    return data


def from_json(data: Mapping[str, Any]) -> Definition:
    """The definition that `to_json` wrote."""
    fields = {key: value for key, value in data.items() if key != "is"}
    if "inputs" in fields:
        fields["inputs"] = tuple(from_json(item) for item in fields["inputs"])
    if "keys" in fields:
        fields["keys"] = tuple(fields["keys"])
    if "value" in fields:
        fields["value"] = from_json(fields["value"])
    if "where" in fields:
        fields["where"] = Condition(**{**fields["where"], "on": from_json(fields["where"]["on"])})
    definition: Definition = _CLASSES[data["is"]](**fields)
    return definition
