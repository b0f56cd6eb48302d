"""Candidates of more than one level: aggregates of what a row leads to, rows under a condition, running values.

`row_values` gives definitions relative to a row of a table beyond its own columns, to a depth: columns of its parents'
rows, aggregates of its children, its running values in a group. Paths go down or up from the row; none goes up and down
again, because such a value changes with every row that shares it (`plan.fans_out`). Inner values are over all history,
outer ones over the longest lookback, conditions over the middle and the longest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.schema import Entity, Problem, Relationship, Table
from headrace.synthesis.candidates.requested import requested_running
from headrace.synthesis.candidates.spans import longest_span, middle_and_longest_span
from headrace.synthesis.language.columns import (
    FEATURE_KINDS,
    Kinds,
    aggregated_columns,
    aggregated_tables,
    known_at_cutoff,
)
from headrace.synthesis.language.definitions import Aggregate, Condition, Definition, Direct, Grouped, Kind, RowColumn
from headrace.synthesis.language.inputs import join_columns
from headrace.synthesis.primitives import aggregation
from headrace.synthesis.primitives.running import RUNNING

_OUTER: Mapping[Kind, tuple[str, ...]] = {
    "numeric": ("mean", "max", "std", "sum"),
    "boolean": ("percent_true",),
    "categorical": ("mode",),
}
_INNER: Mapping[Kind, tuple[str, ...]] = {
    "numeric": ("mean", "max", "sum"),
    "boolean": ("percent_true",),
    "categorical": ("num_unique",),
}
#: A condition's share of the rows, and the mean of what is an outcome among them.
_UNDER: Mapping[Kind, tuple[str, ...]] = {"numeric": ("mean",), "boolean": ("percent_true",), "categorical": ()}
_RUNNING = ("previous", "difference_to_previous", "cum_mean")


def stacked_definitions(problem: Problem, kinds: Kinds) -> Iterator[Aggregate | Direct]:
    """All stacked candidates, the less deep first, in the order of docs/features.md: conditions, then values."""
    for entity in problem.all_entities:
        for table, keys in aggregated_tables(problem, entity):
            yield from _under_conditions(problem, kinds, entity, table, keys)
    for depth in range(2, problem.deepest + 1):
        for entity in problem.all_entities:
            yield from _of_parent(problem, kinds, entity, depth)
            yield from _of_rows(problem, kinds, entity, depth)


def _of_parent(problem: Problem, kinds: Kinds, entity: Entity, depth: int) -> Iterator[Direct]:
    """Values of the entity's parent row from further up; what lies below it is the entity's own aggregate."""
    if entity.parent is not None:
        for value in row_values(problem, kinds, entity.parent[0], depth - 1, None):
            if isinstance(value, Direct):
                yield Direct(entity=entity.name, table=entity.parent[0], column="", kind=value.kind, value=value)


def _of_rows(problem: Problem, kinds: Kinds, entity: Entity, depth: int) -> Iterator[Aggregate]:
    for table, keys in aggregated_tables(problem, entity):
        # The relationship that led here: its other end is the entity itself.
        via = next((r for r in problem.entity_set.parents(table.name) if keys == (r.child_column,)), None)
        lookback = longest_span(problem, table)
        for value in row_values(problem, kinds, table.name, depth - 1, via):
            if not (isinstance(value, Direct) and set(join_columns(value.entity)) <= set(keys)):  # one value per key
                yield from _aggregates(entity.name, table.name, keys, value, _OUTER, lookback)


def row_values(
    problem: Problem, kinds: Kinds, table: str, depth: int, via: Relationship | None
) -> Iterator[Definition]:
    """Definitions relative to a row of a table, to a depth. via: the relationship that led there, not followed back."""
    if depth < 1:
        return
    yield from _upwards(problem, kinds, table, depth, via)
    yield from _downwards(problem, kinds, table, depth, via)
    yield from _running(problem, kinds, table)


def _upwards(problem: Problem, kinds: Kinds, table: str, depth: int, via: Relationship | None) -> Iterator[Direct]:
    for link in problem.entity_set.parents(table):
        if link == via:
            continue
        for (name, column), kind in kinds.items():
            if name == link.parent_table and kind in FEATURE_KINDS and column != link.parent_column:
                yield Direct(entity=link.child_column, table=name, column=column, kind=FEATURE_KINDS[kind])
        for value in _upwards(problem, kinds, link.parent_table, depth - 1, None) if depth > 1 else ():
            yield Direct(entity=link.child_column, table=link.parent_table, column="", kind=value.kind, value=value)


def _downwards(problem: Problem, kinds: Kinds, table: str, depth: int, via: Relationship | None) -> Iterator[Aggregate]:
    for link in problem.entity_set.children(table):
        if link == via:
            continue
        child, keys = problem.entity_set.table(link.child_table), (link.child_column,)
        key = problem.entity_set.table(table).keys[0]
        yield _aggregate(key, child.name, keys, "count", "numeric", None)
        for column, kind in aggregated_columns(problem, child, keys, kinds):
            for primitive in _INNER[kind]:
                yield _aggregate(key, child.name, keys, primitive, kind, None, column)
        for value in row_values(problem, kinds, child.name, depth - 1, link):
            yield from _aggregates(key, child.name, keys, value, _INNER, None)


def _running(problem: Problem, kinds: Kinds, table: str) -> Iterator[Grouped]:
    for name in problem.groupby:
        where, by = name.split(".")
        if where != table:
            continue
        rows = RowColumn(column=by, kind="categorical")
        yield Grouped(table=table, keys=(by,), primitive="time_since_previous", value=rows, kind="numeric")
        for (_, column), kind in [item for item in kinds.items() if item[0][0] == table and item[1] == "numeric"]:
            if column != by:
                value = RowColumn(column=column, kind=FEATURE_KINDS[kind])
                for primitive in dict.fromkeys((*_RUNNING, *requested_running(problem))):
                    result = RUNNING[primitive].result or value.kind
                    yield Grouped(table=table, keys=(by,), primitive=primitive, value=value, kind=result)


def _under_conditions(
    problem: Problem, kinds: Kinds, entity: Entity, table: Table, keys: tuple[str, ...]
) -> Iterator[Aggregate]:
    lookbacks = middle_and_longest_span(problem, table)
    for condition in conditions(problem, kinds, table.name):
        on = condition.on
        if isinstance(on, RowColumn) and on.column in keys:
            continue
        for lookback in lookbacks:
            yield _aggregate(entity.name, table.name, keys, "count", "numeric", lookback, where=condition)
            for column, kind in aggregated_columns(problem, table, keys, kinds):
                given = table == problem.spine_table and known_at_cutoff(problem, column)
                if given or (isinstance(on, RowColumn) and on.column == column):
                    continue
                for primitive in _UNDER[kind]:
                    yield _aggregate(entity.name, table.name, keys, primitive, kind, lookback, column, where=condition)


def conditions(problem: Problem, kinds: Kinds, table: str) -> Iterator[Condition]:
    """`column = value` for the interesting values that were declared of a table's columns."""
    for name, values in problem.where.items() if not isinstance(problem.where, str) else ():
        where, column = name.split(".")
        if where == table and not isinstance(values, str):
            on = RowColumn(column=column, kind=FEATURE_KINDS[kinds[table, column]])
            for value in values:
                yield Condition(on=on, operator="==", value=value if isinstance(value, str) else float(value))


def _aggregates(
    entity: str,
    table: str,
    keys: tuple[str, ...],
    value: Definition,
    primitives: Mapping[Kind, tuple[str, ...]],
    lookback_us: int | None,
) -> Iterator[Aggregate]:
    for primitive in primitives.get(value.kind, ()):
        yield _aggregate(entity, table, keys, primitive, value.kind, lookback_us, value=value)


def _aggregate(
    entity: str,
    table: str,
    keys: tuple[str, ...],
    primitive: str,
    kind: Kind,
    lookback_us: int | None,
    column: str = "",
    *,
    value: Definition | None = None,
    where: Condition | None = None,
) -> Aggregate:
    return Aggregate(
        entity=entity,
        table=table,
        keys=keys,
        column=column,
        primitive=primitive,
        lookback_us=lookback_us,
        kind=aggregation(primitive).result or kind,
        value=value,
        where=where,
    )
