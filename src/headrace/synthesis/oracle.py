"""The truth, row by row in plain Python. It shares definitions with the engines and nothing else.

For a query (key, t): of every row, the version that counts is the latest appended among those known before t. What it
says has been so since the first instant from which the row never said otherwise. Those of this key that have been so
since an instant in [t - lookback, t) are aggregated, exactly (fractions), in order of that instant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import pyarrow as pa

from headrace.core.clock import NEVER, parse_duration, to_us
from headrace.schema import Problem, Table, TimeExpression
from headrace.schema.expressions import OPERATORS
from headrace.synthesis.columns import clock_of, label_column
from headrace.synthesis.definitions import Aggregate, Direct, Stored
from headrace.synthesis.engine import Tables
from headrace.synthesis.oracle_primitives import answer

Row = Mapping[str, Any]
_TYPES = {"categorical": pa.string(), "time": pa.int64()}


class Held(NamedTuple):
    """What one row says at t, since when, and the rank that breaks ties."""

    since_us: int
    rank: int
    value: Any


class Oracle:
    """Computes every value on its own."""

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """See `synthesis.engine.Engine`."""
        queries = keys.to_pylist()
        columns = {}
        for definition in definitions:
            rows = snapshot.table(definition.table).to_pylist()
            values = [_value(problem, definition, rows, query) for query in queries]
            columns[definition.slug] = pa.array(values, type=_TYPES.get(definition.kind, pa.float64()))
        return pa.table(columns)


def _value(problem: Problem, definition: Stored, rows: Sequence[Row], query: Row) -> Any:
    key = tuple(query[name] for name in problem.entity(definition.entity).join_keys)
    if None in key:
        return None
    table = problem.entity_set.table(definition.table)
    if isinstance(definition, Direct):
        last = Aggregate(**{**vars(definition), "keys": table.keys, "primitive": "last", "lookback_us": None})
        return _aggregate(last, _held(problem, table, last, rows, key, query["tick"]))
    return _aggregate(definition, _held(problem, table, definition, rows, key, query["tick"]))


def _held(
    problem: Problem, table: Table, definition: Aggregate, rows: Sequence[Row], key: tuple[Any, ...], tick: int
) -> list[Held]:
    """What the rows of a key say before the tick, within the lookback, oldest first."""
    columns = (*definition.keys, *((definition.column,) if definition.column else ()))
    clock = [TimeExpression.parse(text) for text in clock_of(problem, table, columns)]
    by_row: dict[tuple[Any, ...], list[tuple[int, int, Row]]] = {}
    for row in rows:
        known = max([row["_arrival"], *(_instant(table, expression, row) for expression in clock)])
        if known < tick:
            by_row.setdefault(tuple(row[name] for name in table.keys), []).append((known, row["_order"], row))
    since = tick - definition.lookback_us if definition.lookback_us is not None else -(2**63)
    found = []
    for versions in by_row.values():
        said, held = _said(problem, table, definition, versions)
        event = said[2]
        inside = held.since_us >= since if definition.on == "known" else event is not None and since <= event < tick
        if said[0] == key and inside:
            found.append(held)
    return sorted(found, key=lambda item: item[:2])


def _said(
    problem: Problem, table: Table, definition: Aggregate, versions: list[tuple[int, int, Row]]
) -> tuple[tuple[Any, ...], Held]:
    """What a row says now (entity, value, event if it matters), and since when without a break."""
    told: list[tuple[Any, Held]] = []
    for instant in sorted({known for known, _, _ in versions}):
        _, rank, row = max((item for item in versions if item[0] <= instant), key=lambda item: item[1])
        value = _read(problem, table, definition.column, row) if definition.column else True
        event = _microseconds(row[table.time]) if definition.on == "event" and table.time else None
        said = (tuple(row[name] for name in definition.keys), value, event)
        if not told or told[-1][0] != said:
            told.append((said, Held(instant, rank, value)))
    said, held = told[-1]
    return said, held


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


def _aggregate(definition: Aggregate, held: list[Held]) -> Any:
    said = answer(definition.primitive, [(item.since_us, item.value) for item in held])
    return said[definition.part or 0] if isinstance(said, list) else said
