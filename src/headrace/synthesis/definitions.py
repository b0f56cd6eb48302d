"""Feature definitions: pure, serialisable data. What a feature means, not how it is computed.

A definition is one of
  RowColumn   a column of the spine's own row that is known at the cutoff (it travels with a prediction request)
  Direct      a column of an entity's parent row, as known at the tick
  Aggregate   a primitive over the rows of a table that share the entity's key, within a lookback, as known at the tick
  Transform   a primitive over other definitions of the same spine row

Direct and Aggregate are *stored*: a feature view holds them. RowColumn and Transform are *finished at read*, from
stored values and the request, by the same function online and in training.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headrace.core.clock import format_duration

Kind = Literal["numeric", "categorical", "boolean", "time"]


def _slug(text: str) -> str:
    return re.sub(r"_+", "_", re.sub(r"\W", "_", text)).strip("_").lower()


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
    """A column of the entity's parent row: `plane.planes.seats`."""

    entity: str
    table: str
    column: str
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.entity}.{self.table}.{self.column}"

    @property
    def slug(self) -> str:
        return _slug(self.name)


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """A primitive over an entity's rows: `origin.MEAN(flights.dep_delay, 7d)`.

    keys: the columns of `table` that hold the entity's join keys, in the entity's order. column "" counts rows.
    lookback_us None: all history. on "event" takes the table's event time for the lookback (still known before the
    tick); "known" takes the column's effective known time. kind: of the result; "time" for an anchor (an instant that a
    Transform finishes at read).
    """

    entity: str
    table: str
    keys: tuple[str, ...]
    column: str
    primitive: str
    lookback_us: int | None
    kind: Kind
    on: Literal["known", "event"] = "known"

    @property
    def name(self) -> str:
        path = f"{self.table}.{self.column}" if self.column else self.table
        span = "" if self.lookback_us is None else f", {format_duration(self.lookback_us)}"
        clock = " on event" if self.on == "event" else ""
        by = f" by {'+'.join(self.keys)}"
        return f"{self.entity}.{self.primitive.upper()}({path}{span}{clock}{by})"

    @property
    def slug(self) -> str:
        return _slug(self.name)


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


Definition = RowColumn | Direct | Aggregate | Transform
Stored = Direct | Aggregate
_CLASSES: dict[str, type[RowColumn] | type[Direct] | type[Aggregate] | type[Transform]] = {
    cls.__name__: cls for cls in (RowColumn, Direct, Aggregate, Transform)
}


def stored(definitions: Iterable[Definition]) -> tuple[Stored, ...]:
    """The Direct and Aggregate definitions that these need, each once, in first-use order."""
    found: dict[Stored, None] = {}

    def visit(definition: Definition) -> None:
        if isinstance(definition, Transform):
            for item in definition.inputs:
                visit(item)
        elif isinstance(definition, Direct | Aggregate):
            found[definition] = None

    for definition in definitions:
        visit(definition)
    return tuple(found)


def row_columns(definitions: Iterable[Definition]) -> tuple[RowColumn, ...]:
    """The request columns that these need, each once."""
    found: dict[RowColumn, None] = {}

    def visit(definition: Definition) -> None:
        if isinstance(definition, Transform):
            for item in definition.inputs:
                visit(item)
        elif isinstance(definition, RowColumn):
            found[definition] = None

    for definition in definitions:
        visit(definition)
    return tuple(found)


def to_json(definition: Definition) -> dict[str, Any]:
    """JSON-able form; `from_json` reads it back equal."""
    data: dict[str, Any] = {"is": type(definition).__name__, **vars(definition)}
    if isinstance(definition, Transform):
        data["inputs"] = [to_json(item) for item in definition.inputs]
    if isinstance(definition, Aggregate):
        data["keys"] = list(definition.keys)
    return data


def from_json(data: Mapping[str, Any]) -> Definition:
    """The definition that `to_json` wrote."""
    fields = {key: value for key, value in data.items() if key != "is"}
    if data["is"] == "Transform":
        fields["inputs"] = tuple(from_json(item) for item in data["inputs"])
    if data["is"] == "Aggregate":
        fields["keys"] = tuple(data["keys"])
    definition: Definition = _CLASSES[data["is"]](**fields)
    return definition
