"""From definitions to a plan: pure data that says what is sorted, scanned and looked up, once each.

A Group is one sort: the rows of a table by (entity key, known time, order). Every column on the same clock and every
lookback of it is read from that sort. An engine walks groups; it may refuse one by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from headrace.schema import Problem
from headrace.synthesis.columns import clock_of
from headrace.synthesis.definitions import Direct, Kind, Stored


@dataclass(frozen=True, kw_only=True)
class Output:
    """One stored definition: a primitive within a lookback."""

    slug: str
    primitive: str
    lookback_us: int | None
    on: Literal["known", "event"]
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class ColumnWork:
    """Everything asked of one column of a group; column "" stands for the row itself."""

    column: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """One sort: rows of `table` by the columns `keys`, looked up by the spine's columns `join_keys`."""

    table: str
    keys: tuple[str, ...]
    join_keys: tuple[str, ...]
    clock: tuple[str, ...]
    columns: tuple[ColumnWork, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All groups of a set of definitions, in first-use order."""

    groups: tuple[Group, ...]


def make_plan(problem: Problem, definitions: Sequence[Stored]) -> Plan:
    """Group definitions by the sort that serves them. A direct feature is the last value by the parent's key."""
    grouped: dict[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], dict[str, list[Output]]] = {}
    for definition in dict.fromkeys(definitions):
        keys, output = _output(problem, definition)
        table = problem.entity_set.table(definition.table)
        clock = clock_of(problem, table, (*keys, *((definition.column,) if definition.column else ())))
        join_keys = problem.entity(definition.entity).join_keys
        columns = grouped.setdefault((table.name, keys, join_keys, clock), {})
        columns.setdefault(definition.column, []).append(output)
    return Plan(
        groups=tuple(
            Group(
                table=table,
                keys=keys,
                join_keys=join_keys,
                clock=clock,
                columns=tuple(ColumnWork(column=name, outputs=tuple(outputs)) for name, outputs in columns.items()),
            )
            for (table, keys, join_keys, clock), columns in grouped.items()
        )
    )


def _output(problem: Problem, definition: Stored) -> tuple[tuple[str, ...], Output]:
    if isinstance(definition, Direct):
        keys = problem.entity_set.table(definition.table).keys
        return keys, Output(slug=definition.slug, primitive="last", lookback_us=None, on="known", kind=definition.kind)
    return definition.keys, Output(
        slug=definition.slug,
        primitive=definition.primitive,
        lookback_us=definition.lookback_us,
        on=definition.on,
        kind=definition.kind,
    )
