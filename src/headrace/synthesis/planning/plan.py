"""Plan the computation of definitions for an engine: what is sorted and scanned, each once. Pure data.

A Group is one sort: the rows of a table by (entity key, known time, order). All columns on the same clock and all
lookbacks are computed from that sort. Stacked definitions are planned level by level: a column may be made from
definitions that the engine plans in turn (`make_plan(inner=True)`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headrace.schema import Problem
from headrace.synthesis.language.columns import clock_of
from headrace.synthesis.language.definitions import Aggregate, Condition, Definition, Direct, Kind, Stored, Transform
from headrace.synthesis.language.inputs import (
    hopped_tables,
    join_columns,
    relative,
    tables_read,
    time_varying,
    used_columns,
)
from headrace.synthesis.primitives import transform


@dataclass(frozen=True, kw_only=True)
class Output:
    """One stored definition: a primitive within a lookback.

    Attributes:
        slug: of the definition.
        primitive: name of the aggregation.
        lookback_us: in us; None: all history.
        on: the clock of the lookback.
        kind: of the value.
        part: which output of a primitive with several.
    """

    slug: str
    primitive: str
    lookback_us: int | None
    on: Literal["known", "event"]
    kind: Kind
    part: int = 0


@dataclass(frozen=True, kw_only=True)
class ColumnPlan:
    """All outputs computed from one column of a group.

    Attributes:
        column: its name; "" for the rows themselves.
        outputs: what is computed from it.
        value: a definition relative to a row, in place of the column.
        where: only rows that meet this condition are aggregated.
        used: the columns of a row that this reads, keys among them: the row counts since they last changed.
    """

    column: str
    outputs: tuple[Output, ...]
    value: Definition | None = None
    where: Condition | None = None
    used: tuple[str, ...] = ()

    @property
    def relative(self) -> tuple[Definition, ...]:
        """The definitions relative to a row that this reads."""
        values = [] if self.value is None else [self.value]
        return tuple(values if self.where is None else [*values, self.where.on])


@dataclass(frozen=True, kw_only=True)
class Group:
    """One sort of the rows of a table.

    Attributes:
        table: its name.
        keys: the columns that the rows are sorted by.
        join_keys: the columns of the queries that are matched with them.
        clock: the known times that all must have passed.
        columns: what is computed.
    """

    table: str
    keys: tuple[str, ...]
    join_keys: tuple[str, ...]
    clock: tuple[str, ...]
    columns: tuple[ColumnPlan, ...]

    @property
    def tables(self) -> frozenset[str]:
        """Every table that the group reads, however deep."""
        inside = (item for column_plan in self.columns for item in column_plan.relative)
        below = (name for item in inside for name in tables_read(item))
        return frozenset((self.table, *hopped_tables(self.keys), *below))

    def is_constant(self, column_plan: ColumnPlan) -> bool:
        """Whether the values of a column never change after they become known."""
        stacked = time_varying(column_plan.relative) or any(depends_on_tick(item) for item in column_plan.relative)
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
    """Group definitions by the sort that they are computed from.

    Args:
        problem: declares the tables.
        definitions: what to compute.
        inner: whether the definitions are relative to a row of a table: then their entities name its columns.
    """
    groups: dict[tuple[Any, ...], dict[tuple[Any, ...], list[Output]]] = {}
    clocks: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
    for definition in dict.fromkeys(definitions):
        item = as_aggregate(problem, definition)
        table = problem.entity_set.table(item.table)
        used = used_columns(item, item.keys)
        join_keys = join_columns(item.entity) if inner else problem.entity(item.entity).join_keys
        if (table.name, used) not in clocks:
            clocks[table.name, used] = clock_of(problem, table, used)
        columns = groups.setdefault((table.name, item.keys, join_keys, clocks[table.name, used]), {})
        columns.setdefault((item.column, item.value, item.where, used), []).append(_output(definition, item))
    return Plan(
        groups=tuple(
            Group(table=table, keys=keys, join_keys=join_keys, clock=clock, columns=_column_plans(columns))
            for (table, keys, join_keys, clock), columns in groups.items()
        )
    )


def _column_plans(column_plans: dict[tuple[Any, ...], list[Output]]) -> tuple[ColumnPlan, ...]:
    return tuple(
        ColumnPlan(column=column, value=value, where=where, used=used, outputs=tuple(outputs))
        for (column, value, where, used), outputs in column_plans.items()
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


def depends_on_tick(definition: Definition) -> bool:
    """Whether the value of a definition changes with time alone."""
    if not isinstance(definition, Transform):
        return False
    return transform(definition.primitive).uses_tick or any(depends_on_tick(item) for item in definition.inputs)


def fans_out(problem: Problem, table: str, definition: Definition) -> bool:
    """Whether a definition relative to a row of a table changes with what other rows of that table may share.

    An aggregate by the row's own key goes down: each of its changes is one of this row's. By any other column it comes
    from across: its changes are those of every row with that value. So do the aggregates of a parent's row, and values
    that change with time alone.
    """
    if isinstance(definition, Transform):
        return depends_on_tick(definition) or any(fans_out(problem, table, item) for item in definition.inputs)
    if isinstance(definition, Direct):
        inside = relative(definition)
        below = any(isinstance(leaf, Aggregate) for leaf in time_varying(inside))
        return below or any(fans_out(problem, definition.table, item) for item in inside)
    if isinstance(definition, Aggregate):
        down = join_columns(definition.entity) == problem.entity_set.table(table).keys
        return not down or any(fans_out(problem, definition.table, item) for item in relative(definition))
    return False


def declared_tables(problem: Problem, groups: Iterable[Group]) -> list[str]:
    """The declared tables that groups read, sorted; of a derived table those that it is derived from."""
    return sorted({source for group in groups for name in group.tables for source in problem.entity_set.sources(name)})
