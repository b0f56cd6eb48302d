"""Candidates about entities that are reached through an entity's last row: a driver's last constructor.

    driver.LAST(results.constructor.MEAN(results.points, 180d by constructor) by driver)

is the mean of the points of the constructor in the driver's last result, over that constructor's last 180 days before
the tick. The driver may have changed constructors since; both the last row and what it leads to are as known at the
tick. One such value costs one evaluation a query (`engines.stacked`), whatever the number of rows.

Which columns lead on: those that `Problem.through` names ("results.constructor"), at any depth; with "auto" all
columns of aggregated tables that a relationship makes a key, from depth 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headrace.schema import Entity, Problem, Table
from headrace.schema.problem import AUTO
from headrace.synthesis.candidates.spans import every_span, longest_span
from headrace.synthesis.language.columns import (
    FEATURE_KINDS,
    Kinds,
    aggregated_columns,
    aggregated_tables,
    known_at_cutoff,
)
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Kind
from headrace.synthesis.primitives import aggregation

#: Aggregations of the rows of the entity that is reached: over every lookback, and over the longest one.
_EVERY_LOOKBACK: dict[Kind, tuple[str, ...]] = {"numeric": ("mean",), "boolean": ("percent_true",)}
_LONGEST: dict[Kind, tuple[str, ...]] = {"numeric": ("std", "max"), "categorical": ("mode",)}

_USUAL = frozenset(("count", *(name for names in _EVERY_LOOKBACK.values() for name in names)))


def through_definitions(problem: Problem, kinds: Kinds) -> Iterator[Aggregate]:
    """Features of the entities that an entity's last rows lead to."""
    for entity in problem.all_entities:
        for table, keys in aggregated_tables(problem, entity):
            for column in leading_columns(problem, table):
                if column not in keys:
                    yield from _through(problem, kinds, entity, table, keys, column)


def is_through(definition: Definition) -> bool:
    """Whether a definition is a column or a mean of what an entity's last row leads to."""
    if not isinstance(definition, Aggregate) or definition.primitive != "last":
        return False
    value = definition.value
    return isinstance(value, Direct) or (isinstance(value, Aggregate) and value.primitive in _USUAL)


def leading_columns(problem: Problem, table: Table) -> tuple[str, ...]:
    """The columns of a table that lead to another entity, in the order of their declaration."""
    if problem.through != AUTO:
        named = (name.split(".") for name in problem.through)
        return tuple(column for name, column in named if name == table.name)
    if problem.deepest < 2:
        return ()
    return tuple(dict.fromkeys(link.child_column for link in problem.entity_set.parents(table.name)))


def _through(
    problem: Problem, kinds: Kinds, entity: Entity, table: Table, keys: tuple[str, ...], column: str
) -> Iterator[Aggregate]:
    parent = next((link for link in problem.entity_set.parents(table.name) if link.child_column == column), None)
    values: list[Definition] = []
    if parent is not None:
        values += _of_parent(kinds, column, parent.parent_table, parent.parent_column)
        children = problem.entity_set.children(parent.parent_table)
        rows = [(problem.entity_set.table(child.child_table), child.child_column) for child in children]
    else:
        rows = [(table, column)]
    for child, by in rows:
        values += _of_rows(problem, kinds, column, child, by)
    for value in values:
        yield Aggregate(
            entity=entity.name,
            table=table.name,
            keys=keys,
            column="",
            primitive="last",
            lookback_us=None,
            kind=value.kind,
            value=value,
        )


def _of_parent(kinds: Kinds, entity: str, table: str, key: str) -> Iterator[Direct]:
    """The columns of the row of the entity that is reached."""
    for (name, column), kind in kinds.items():
        if name == table and kind in FEATURE_KINDS and column != key:
            yield Direct(entity=entity, table=table, column=column, kind=FEATURE_KINDS[kind])


def _of_rows(problem: Problem, kinds: Kinds, entity: str, table: Table, by: str) -> Iterator[Aggregate]:
    """Aggregations of the rows of the entity that is reached, of columns that are not known at a cutoff anyway."""
    count = Aggregate(
        entity=entity,
        table=table.name,
        keys=(by,),
        column="",
        primitive="count",
        lookback_us=longest_span(problem, table),
        kind="numeric",
    )
    yield count
    for column, kind in aggregated_columns(problem, table, (by,), kinds):
        if table == problem.spine_table and known_at_cutoff(problem, column):
            continue
        for primitive in _EVERY_LOOKBACK.get(kind, ()):
            for lookback_us in every_span(problem, table):
                yield replace(count, column=column, primitive=primitive, lookback_us=lookback_us)
        for primitive in _LONGEST.get(kind, ()):
            result = aggregation(primitive).result or kind
            yield replace(count, column=column, primitive=primitive, kind=result)
