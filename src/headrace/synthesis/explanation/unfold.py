"""Unfold a feature's value at one row: the value at each node of its definition, and the raw rows below.

The rows come from the oracle (`oracle.RowEvaluator`), as known at the tick: which counted, which did not and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.schema import Problem, Table
from headrace.synthesis.explanation.description import words
from headrace.synthesis.extensions import add_twins
from headrace.synthesis.history.keys import plain
from headrace.synthesis.language.columns import ARRIVAL, ORDER
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Kind, RowColumn, Stored, Transform
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.inputs import hops, is_constant, join_columns, relative, time_varying, used_columns
from headrace.synthesis.oracle.oracle import ConsideredRow, EffectiveRow, RowEvaluator
from headrace.synthesis.oracle.reading import Row
from headrace.synthesis.primitives.finish import finish


@dataclass(frozen=True, kw_only=True)
class UsedRow:
    """A raw row of an aggregate.

    Attributes:
        at_us: since when it counts (or is known).
        why: the reason why it did not count; empty: it did.
        value: what was aggregated of it.
        row: its columns.
        children: definitions relative to it, unfolded.
    """

    at_us: int
    why: str
    value: Any
    row: Row
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Node:
    """A definition at a row.

    Attributes:
        name: of the definition.
        kind: of the value.
        words: the definition in words.
        value: at the row.
        children: the definitions that it is made from.
        rows: the latest of the raw rows.
        counted: how many rows counted.
        left_out: how many did not.
        reads: the columns of the rows that it reads, the keys first.
    """

    name: str
    kind: Kind
    words: str
    value: Any
    children: tuple[Node, ...] = ()
    rows: tuple[UsedRow, ...] = ()
    counted: int = 0
    left_out: int = 0
    reads: tuple[str, ...] = ()


def unfold(
    problem: Problem,
    definition: Definition,
    query: Row,
    tick_us: int,
    snapshot: Tables,
    *,
    most: int = 20,
    ticks_us: Mapping[str, int] | None = None,
) -> Node:
    """Build the tree of a definition at a row of the spine.

    A stacked feature reads the whole history in plain Python.

    Args:
        problem: declares the tables.
        definition: what to unfold.
        query: the join keys and the row's own columns.
        tick_us: the instant, in us.
        snapshot: the tables.
        most: how many rows that counted, and how many that did not, are shown of each aggregate.
        ticks_us: entity -> tick of its stored features (us), where they were served from an older refresh.
    """
    add_twins(definition)
    return _Unfolding(problem, snapshot, tick_us, most, ticks_us or {}).root(definition, query)


class _Unfolding:
    def __init__(
        self, problem: Problem, snapshot: Tables, tick_us: int, most: int, ticks_us: Mapping[str, int]
    ) -> None:
        self._problem = problem
        self._snapshot = snapshot
        self._finish_us = tick_us  # of transforms; a stored feature has the tick of its own entity
        self._tick_us = tick_us
        self._ticks_us = ticks_us
        self._most = most
        self._whole = RowEvaluator(problem, snapshot)

    def root(self, definition: Definition, query: Row) -> Node:
        if isinstance(definition, Transform):
            children = tuple(self.root(item, query) for item in definition.inputs)
            return Node(
                name=definition.name,
                kind=definition.kind,
                words=words(definition),
                value=self._finished(definition, query),
                children=children,
            )
        if isinstance(definition, Direct | Aggregate):
            self._tick_us = self._ticks_us.get(definition.entity, self._finish_us)
            node = self._stored(definition, self._key(definition, query), "this")
            return replace(node, value=self._finished(definition, query))
        return Node(
            name=definition.name, kind=definition.kind, words=words(definition), value=self._finished(definition, query)
        )

    def _key(self, definition: Stored, query: Row) -> tuple[Any, ...]:
        return tuple(query[name] for name in self._problem.entity(definition.entity).join_keys)

    def _finished(self, definition: Definition, query: Row) -> Any:
        """The value as a model gets it."""
        stored: dict[str, list[Any]] = {}
        columns: dict[str, list[Any]] = {}
        self._gather(definition, query, stored, columns)
        at = np.array([self._finish_us], dtype=np.int64)
        return finish([definition], stored, columns, at, at)[definition.slug][0].as_py()

    def _gather(self, definition: Definition, query: Row, stored: dict[str, Any], columns: dict[str, Any]) -> None:
        if isinstance(definition, Transform):
            for item in definition.inputs:
                self._gather(item, query, stored, columns)
        elif isinstance(definition, RowColumn):
            columns[definition.column] = [query[definition.column]]
        elif isinstance(definition, Direct | Aggregate):
            key, tick_us = self._key(definition, query), self._ticks_us.get(definition.entity, self._finish_us)
            stored[definition.slug] = [self._evaluator(definition, key).stored_value(definition, key, tick_us)]

    def _evaluator(self, definition: Stored, key: tuple[Any, ...]) -> RowEvaluator:
        """An evaluator over the rows that ever had the entity's key if these suffice, else over the whole history."""
        constant = (
            is_constant(definition) if isinstance(definition, Aggregate) else not time_varying(relative(definition))
        )
        if not constant or None in key:
            return self._whole
        table = self._problem.entity_set.table(definition.table)
        keys = definition.keys if isinstance(definition, Aggregate) else table.keys
        snapshot = self._snapshot
        for name, columns in self._problem.sources_by_key(table.name, keys).items():
            source = self._problem.entity_set.table(name)
            snapshot = _Narrow(snapshot, source, dict(zip(columns, key, strict=True)))
        return RowEvaluator(self._problem, snapshot)

    def _stored(self, definition: Stored, key: tuple[Any, ...], whose: str) -> Node:
        """A Direct or an Aggregate of the entity with this key."""
        evaluator = self._evaluator(definition, key)
        node = Node(
            name=definition.name,
            kind=definition.kind,
            words=words(definition, whose=whose),
            value=evaluator.stored_value(definition, key, self._tick_us),
        )
        if None in key:
            return node
        if isinstance(definition, Direct):
            return self._with_parent(node, definition, evaluator.parent_row(definition, key, self._tick_us))
        return self._with_rows(node, definition, evaluator, key)

    def _with_parent(self, node: Node, definition: Direct, parent: EffectiveRow | None) -> Node:
        """The node of a Direct with the row that it reads."""
        if parent is None:
            return node
        table = self._problem.entity_set.table(definition.table)
        row = UsedRow(at_us=parent.since_us, why="", value=node.value, row=_plain(parent.row))
        return replace(
            node,
            children=() if definition.value is None else (self._inner(table, definition.value, parent.row),),
            rows=(row,),
            counted=1,
            reads=_reads(table, used_columns(definition, table.keys)),
        )

    def _with_rows(self, node: Node, definition: Aggregate, evaluator: RowEvaluator, key: tuple[Any, ...]) -> Node:
        """The node of an Aggregate with the latest of the rows that counted, and of those that did not."""
        table = self._problem.entity_set.table(definition.table)
        considered = evaluator.considered_rows(definition, key, self._tick_us)
        counted = [item for item in considered if not item.left_out]
        left_out = [item for item in considered if item.left_out]
        later = evaluator.later_versions(definition, key, self._tick_us)
        rows = [
            *(_unused(item.at_us, item.left_out, item.effective.row) for item in _last(left_out, self._most)),
            *(self._used(definition, table, item) for item in _last(counted, self._most)),
            *(_unused(known, "not known before the tick", row) for known, row in later[: self._most]),
        ]
        return replace(
            node,
            rows=tuple(sorted(rows, key=lambda row: row.at_us)),
            counted=len(counted),
            left_out=len(left_out) + len(later),
            reads=_reads(table, used_columns(definition, definition.keys)),
        )

    def _used(self, definition: Aggregate, table: Table, item: ConsideredRow) -> UsedRow:
        inside = [below for below in relative(definition) if not isinstance(below, RowColumn)]
        children = tuple(self._inner(table, below, item.effective.row) for below in inside)
        return UsedRow(at_us=item.at_us, why="", value=item.value, row=_plain(item.effective.row), children=children)

    def _inner(self, table: Table, definition: Definition, row: Row) -> Node:
        """A definition relative to a row of a table."""
        if isinstance(definition, Direct | Aggregate):
            return self._stored(definition, tuple(row[name] for name in join_columns(definition.entity)), "its")
        value = self._whole.relative_value(table, definition, row, self._tick_us)
        below = definition.inputs if isinstance(definition, Transform) else ()
        children = tuple(self._inner(table, item, row) for item in below)
        return Node(
            name=definition.name,
            kind=definition.kind,
            words=words(definition, whose="its"),
            value=value,
            children=children,
        )


class _Narrow:
    """A snapshot in which one table has only the rows of which any version has some values, with all versions."""

    def __init__(self, snapshot: Tables, table: Table, values: Mapping[str, Any]) -> None:
        self._snapshot = snapshot
        self._table = table
        self._values = values

    def table(self, name: str) -> pa.Table:
        rows = self._snapshot.table(name)
        if name != self._table.name:
            return rows
        matching = rows
        for column, value in self._values.items():
            own = plain(matching[hops(column)[0]])
            matching = matching.filter(pc.is_in(own, value_set=pa.array([value]).cast(own.type)))
        for column in self._table.keys:  # a superset where the key is composite
            rows = rows.filter(pc.is_in(plain(rows[column]), value_set=plain(matching[column])))
        return rows


def _unused(at_us: int, why: str, row: Row) -> UsedRow:
    return UsedRow(at_us=at_us, why=why, value=None, row=_plain(row))


def _reads(table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*table.keys, *columns, *([table.time] if table.time else []))))


def _plain(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in (ARRIVAL, ORDER)}


def _last(items: list[ConsideredRow], most: int) -> list[ConsideredRow]:
    return items[max(len(items) - most, 0) :]
