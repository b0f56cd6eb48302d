"""The truth, row by row in plain Python. It shares definitions with the engines and nothing else.

For a query (key, t): of every row, the version that counts is the latest appended among those known before t. What it
says has been so since the first instant from which the row never said otherwise. Those of this key that have been so
since an instant in [t - lookback, t) are aggregated, exactly (fractions), in order of that instant.

What is stacked is asked again, at the same t: of each of those rows, what its value is made from, and whether its
condition holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from headrace.core.clock import NEVER, parse_duration, to_us
from headrace.schema import Problem, Table, TimeExpression
from headrace.schema.expressions import OPERATORS
from headrace.synthesis.language.columns import clock_of, label_column
from headrace.synthesis.language.definitions import (
    Aggregate,
    Definition,
    Direct,
    Grouped,
    RowColumn,
    Stored,
    Transform,
    leaves,
)
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.inputs import grouped_columns, hops, join_columns, used_columns, value_of
from headrace.synthesis.oracle.aggregations import answer
from headrace.synthesis.oracle.running import RUNNING_TWINS
from headrace.synthesis.primitives.finish import finish

Row = Mapping[str, Any]
_TYPES = {"categorical": pa.string(), "time": pa.int64()}


class Held(NamedTuple):
    """A row that counts at t: since when it says what it says, the rank that breaks ties, its event, the row."""

    since_us: int
    rank: int
    event_us: int | None
    row: Row


class Judged(NamedTuple):
    """A row of an entity's table: when it counts from, whether it did, and why not (empty: it did)."""

    held: Held
    at_us: int
    why: str
    value: Any


class Oracle:
    """Computes every value on its own."""

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """See `synthesis.engine.Engine`."""
        truth = Truth(problem, snapshot)
        columns = {}
        for definition in definitions:
            names = problem.entity(definition.entity).join_keys
            values = [
                truth.stored(definition, tuple(query[name] for name in names), query["tick"])
                for query in keys.to_pylist()
            ]
            columns[definition.slug] = pa.array(values, type=_TYPES.get(definition.kind, pa.float64()))
        return pa.table(columns)


class Truth:
    """One problem and one snapshot of its tables."""

    def __init__(self, problem: Problem, snapshot: Tables) -> None:
        self._problem = problem
        self._snapshot = snapshot
        self._rows: dict[str, list[Row]] = {}
        self._said_at: dict[tuple[str, tuple[str, ...], int, bool], list[Held]] = {}

    def stored(self, definition: Stored, key: tuple[Any, ...], tick: int) -> Any:
        """A Direct or an Aggregate of an entity at an instant."""
        if None in key:
            return None
        if isinstance(definition, Direct):
            return self._parent(definition, key, tick)
        told = [(item.at_us, item.value) for item in self.judged(definition, key, tick) if not item.why]
        said = answer(definition.primitive, told)
        return said[definition.part or 0] if isinstance(said, list) else said

    def judged(self, definition: Aggregate, key: tuple[Any, ...], tick: int) -> list[Judged]:
        """The rows that are this entity's at an instant, in the order in which they count, and those that do not."""
        table = self._problem.entity_set.table(definition.table)
        value = value_of(definition, definition.kind)
        found = []
        for held in self._held(table, used_columns(definition, definition.keys), tick, definition.on == "event"):
            if self._key(table, definition.keys, held.row, tick) == key:
                at = held.since_us if held.event_us is None else held.event_us
                why = self._against(definition, held, at, tick)
                read = None if why else True if value is None else self.value(table, value, held.row, tick)
                found.append(Judged(held, at, why, read))
        return found

    def unseen(self, definition: Aggregate, key: tuple[Any, ...], tick: int) -> list[tuple[int, Row]]:
        """Versions that name this entity in columns of their own but come later: (when they are known, the row)."""
        if any("." in name for name in definition.keys):
            return []
        table = self._problem.entity_set.table(definition.table)
        clock = self._clock(table, used_columns(definition, definition.keys))
        mine = (row for row in self._versions(table) if tuple(row[name] for name in definition.keys) == key)
        found = [(_known(table, clock, row), row) for row in mine]
        return sorted(((known, row) for known, row in found if known >= tick), key=lambda item: item[0])

    def _against(self, definition: Aggregate, held: Held, at: int, tick: int) -> str:
        """Why a row does not count; empty where it does."""
        if definition.lookback_us is not None and at < tick - definition.lookback_us:
            return "before the lookback"
        if at >= tick:
            return "its event is not before the tick"
        return "" if self._holds(definition, held, tick) else "the condition does not hold"

    def _parent(self, definition: Direct, key: tuple[Any, ...], tick: int) -> Any:
        table = self._problem.entity_set.table(definition.table)
        value = value_of(definition, definition.kind)
        held = self.parent_row(definition, key, tick)
        return None if value is None or held is None else self.value(table, value, held.row, tick)

    def parent_row(self, definition: Direct, key: tuple[Any, ...], tick: int) -> Held | None:
        """The row that a Direct reads."""
        table = self._problem.entity_set.table(definition.table)
        held = self._held(table, used_columns(definition, table.keys), tick)
        return next((item for item in held if _names(table, item.row) == key), None)

    def _key(self, table: Table, keys: Sequence[str], row: Row, tick: int) -> tuple[Any, ...]:
        """What entity a row belongs to, by its own columns or by those of its parents' rows."""
        found = []
        for key in keys:
            column, path = hops(key)
            value = row[column]
            for name, column in path:
                parent = self._problem.entity_set.table(name)
                held = self._held(parent, tuple(dict.fromkeys((*parent.keys, column))), tick)
                value = next((item.row[column] for item in held if (value,) == _names(parent, item.row)), None)
            found.append(value)
        return tuple(found)

    def _holds(self, definition: Aggregate, held: Held, tick: int) -> bool:
        where = definition.where
        if where is None:
            return True
        table = self._problem.entity_set.table(definition.table)
        value = self.value(table, where.on, held.row, tick)
        return value is not None and bool(OPERATORS[where.operator](value, where.value))

    def value(self, table: Table, definition: Definition, row: Row, tick: int) -> Any:
        """A definition relative to a row of a table, at an instant."""
        if isinstance(definition, RowColumn):
            return _read(self._problem, table, definition.column, row)
        if isinstance(definition, Grouped):
            return self._running(table, definition, row, tick)
        if isinstance(definition, Transform):
            values = {leaf: [self.value(table, leaf, row, tick)] for leaf in leaves(definition)}
            given = {leaf.column: value for leaf, value in values.items() if isinstance(leaf, RowColumn)}
            other = {leaf.slug: value for leaf, value in values.items() if not isinstance(leaf, RowColumn)}
            at = np.array([tick], dtype=np.int64)
            return finish([definition], other, given, at, at)[definition.slug][0].as_py()
        return self.stored(definition, tuple(row[name] for name in join_columns(definition.entity)), tick)

    def _running(self, table: Table, definition: Grouped, row: Row, tick: int) -> Any:
        """A group's value at a row: of the rows of its key that count, those up to this one."""
        held = self._held(table, grouped_columns(definition), tick)
        mine = next((item for item in held if _names(table, item.row) == _names(table, row)), None)
        if mine is None:
            return None
        key = [mine.row[name] for name in definition.keys]
        group = [item for item in held if [item.row[name] for name in definition.keys] == key and item[:2] <= mine[:2]]
        told = [(item.since_us, self.value(table, definition.value, item.row, tick)) for item in group]
        return None if None in key else RUNNING_TWINS[definition.primitive](told)

    def _versions(self, table: Table) -> list[Row]:
        if table.name not in self._rows:
            self._rows[table.name] = self._snapshot.table(table.name).to_pylist()
        return self._rows[table.name]

    def _clock(self, table: Table, columns: tuple[str, ...]) -> list[TimeExpression]:
        return [TimeExpression.parse(text) for text in clock_of(self._problem, table, columns)]

    def _held(self, table: Table, columns: tuple[str, ...], tick: int, on_event: bool = False) -> list[Held]:
        """Every row that counts at an instant, by what some of its columns say, oldest first."""
        asked = (table.name, columns, tick, on_event)
        if asked not in self._said_at:
            self._said_at[asked] = self._hold(table, columns, tick, on_event)
        return self._said_at[asked]

    def _hold(self, table: Table, columns: tuple[str, ...], tick: int, on_event: bool) -> list[Held]:
        clock = self._clock(table, columns)
        by_row: dict[tuple[Any, ...], list[tuple[int, int, Row]]] = {}
        for row in self._versions(table):
            known = _known(table, clock, row)
            if known < tick:
                by_row.setdefault(_names(table, row), []).append((known, row["_order"], row))
        held = [self._said(table, columns, versions, on_event) for versions in by_row.values()]
        if on_event:
            told = [(item.event_us, item) for item in held if item.event_us is not None]
            return [item for _, item in sorted(told, key=lambda pair: (pair[0], *pair[1][:2]))]
        return sorted(held, key=lambda item: item[:2])

    def _said(
        self, table: Table, columns: tuple[str, ...], versions: list[tuple[int, int, Row]], on_event: bool
    ) -> Held:
        """What a row says now in these columns (and of its event, if it matters), and since when without a break."""
        told: list[tuple[Any, Held]] = []
        for instant in sorted({known for known, _, _ in versions}):
            _, rank, row = max((item for item in versions if item[0] <= instant), key=lambda item: item[1])
            event = _microseconds(row[table.time]) if on_event and table.time else None
            said = ([_read(self._problem, table, name, row) for name in columns], event)
            if not told or told[-1][0] != said:
                told.append((said, Held(instant, rank, event, row)))
        return told[-1][1]


def _names(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.keys)


def _known(table: Table, clock: Sequence[TimeExpression], row: Row) -> int:
    """Since when a version is known on a clock."""
    return max([int(row["_arrival"]), *(_instant(table, expression, row) for expression in clock)])


def _read(problem: Problem, table: Table, column: str, row: Row) -> Any:
    """A value, None where missing; numbers that are not finite are missing."""
    if table.name == problem.spine.table and column == label_column(problem):
        label = problem.label_expression
        value = row[label.column]
        return None if value is None else float(OPERATORS[label.operator](value, label.value))
    value = row[column]
    if value is not None and table.roles.get(column) == "categorical":
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, bool | int | float):
        return float(value) if math.isfinite(value) and abs(value) <= 1e100 else None
    return _microseconds(value) if isinstance(value, date) else value


def _microseconds(value: Any) -> int | None:
    if value is None:
        return None
    return to_us(value) if isinstance(value, datetime) else to_us(value.isoformat() + "T00:00:00+00:00")


def _instant(table: Table, expression: TimeExpression, row: Row) -> int:
    at = _microseconds(row[expression.column])
    if at is None:
        return NEVER
    if table.resolution is not None:
        unit = parse_duration(table.resolution)
        at = (at // unit + 1) * unit
    return at + expression.offset_us
