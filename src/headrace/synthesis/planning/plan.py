"""From definitions to a plan: pure data that says what is sorted, scanned and looked up, once each.

A Group is one sort: the rows of a table by (entity key, known time, order). Every column on the same clock and every
lookback of it is read from that sort. An engine walks groups; it may refuse one by name. What is stacked is planned
level by level: a group's work may be made from definitions that its engine plans in turn (`make_plan(inner=True)`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headrace.schema import Problem
from headrace.synthesis.language.columns import clock_of
from headrace.synthesis.language.definitions import Aggregate, Condition, Definition, Direct, Kind, Stored, Transform
from headrace.synthesis.language.inputs import join_columns, moving, relative, used_columns
from headrace.synthesis.primitives import transform


@dataclass(frozen=True, kw_only=True)
class Output:
    """One stored definition: a primitive within a lookback."""

    slug: str
    primitive: str
    lookback_us: int | None
    on: Literal["known", "event"]
    kind: Kind
    part: int = 0


@dataclass(frozen=True, kw_only=True)
class ColumnWork:
    """Everything asked of one column of a group; column "" stands for the row itself.

    value: a definition relative to a row, in place of the column. where: only rows of which this holds. used: columns
    of a row that all this reads, keys among them: the row counts since they last changed.
    """

    column: str
    outputs: tuple[Output, ...]
    value: Definition | None = None
    where: Condition | None = None
    used: tuple[str, ...] = ()

    @property
    def relative(self) -> tuple[Definition, ...]:
        """The definitions relative to a row that this needs."""
        found = [] if self.value is None else [self.value]
        return tuple(found if self.where is None else [*found, self.where.on])


@dataclass(frozen=True, kw_only=True)
class Group:
    """One sort: rows of `table` by the columns `keys`, looked up by the columns `join_keys` of who asks."""

    table: str
    keys: tuple[str, ...]
    join_keys: tuple[str, ...]
    clock: tuple[str, ...]
    columns: tuple[ColumnWork, ...]

    def is_still(self, work: ColumnWork) -> bool:
        """Whether all that a work needs stands in the row itself."""
        stacked = moving(work.relative) or any(moves(item) for item in work.relative)
        return not stacked and not any("." in key for key in self.keys)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All groups of a set of definitions, in first-use order."""

    groups: tuple[Group, ...]


def as_aggregate(problem: Problem, definition: Stored) -> Aggregate:
    """A definition as an aggregate: a direct feature is the last value by the parent's key."""
    if isinstance(definition, Aggregate):
        return definition
    keys = problem.entity_set.table(definition.table).keys
    return Aggregate(**{**vars(definition), "keys": keys, "primitive": "last", "lookback_us": None})


def make_plan(problem: Problem, definitions: Sequence[Stored], *, inner: bool = False) -> Plan:
    """Group definitions by the sort that serves them.

    inner: the definitions are relative to a row of a table, not to the spine: their entities name its columns.
    """
    grouped: dict[tuple[Any, ...], dict[tuple[Any, ...], list[Output]]] = {}
    clocks: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
    for definition in dict.fromkeys(definitions):
        item = as_aggregate(problem, definition)
        table = problem.entity_set.table(item.table)
        used = used_columns(item, item.keys)
        join_keys = join_columns(item.entity) if inner else problem.entity(item.entity).join_keys
        if (table.name, used) not in clocks:
            clocks[table.name, used] = clock_of(problem, table, used)
        works = grouped.setdefault((table.name, item.keys, join_keys, clocks[table.name, used]), {})
        works.setdefault((item.column, item.value, item.where, used), []).append(_output(definition, item))
    return Plan(
        groups=tuple(
            Group(table=table, keys=keys, join_keys=join_keys, clock=clock, columns=_works(works))
            for (table, keys, join_keys, clock), works in grouped.items()
        )
    )


def _works(works: dict[tuple[Any, ...], list[Output]]) -> tuple[ColumnWork, ...]:
    return tuple(
        ColumnWork(column=column, value=value, where=where, used=used, outputs=tuple(outputs))
        for (column, value, where, used), outputs in works.items()
    )


def _output(definition: Stored, item: Aggregate) -> Output:
    return Output(
        slug=definition.slug,
        primitive=item.primitive,
        lookback_us=item.lookback_us,
        on=item.on,
        kind=definition.kind,
        part=item.part or 0,
    )


def moves(definition: Definition) -> bool:
    """Whether a definition changes with time alone."""
    if not isinstance(definition, Transform):
        return False
    return transform(definition.primitive).uses_tick or any(moves(item) for item in definition.inputs)


def fans_out(problem: Problem, table: str, definition: Definition) -> bool:
    """Whether a definition relative to a row of a table changes with what other rows of that table may share.

    An aggregate by the row's own key goes down: each of its changes is one of this row's. By any other column it comes
    from across: a change is one of every row with that value. So does what a parent's row aggregates, and what moves
    with time alone.
    """
    if isinstance(definition, Transform):
        return moves(definition) or any(fans_out(problem, table, item) for item in definition.inputs)
    if isinstance(definition, Direct):
        inside = relative(definition)
        below = any(isinstance(leaf, Aggregate) for leaf in moving(inside))
        return below or any(fans_out(problem, definition.table, item) for item in inside)
    if isinstance(definition, Aggregate):
        down = join_columns(definition.entity) == problem.entity_set.table(table).keys
        return not down or any(fans_out(problem, definition.table, item) for item in relative(definition))
    return False
