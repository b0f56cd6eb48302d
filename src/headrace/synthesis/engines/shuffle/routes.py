"""Plan which rows of which tables the partitions of one entity need, from the groups of its features.

A feature whose values never change once known reads only the rows with its entity's key: its table is *partitioned* by
that key. A stacked feature reads rows of rows, by other keys: every partition holds the tables that it reads whole
(*replicated*).

The history of a key that is too long for one partition is divided by time. Its outputs are of two sorts then: *sliced*
ones read only rows inside their lookback, so a slice of the queries needs only the rows of its own period and of the
longest lookback before it; all others need the key's whole history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headrace.schema import Problem, TimeExpression
from headrace.synthesis.engines.scan.lookback_range import reads_only_lookback, subset_outputs
from headrace.synthesis.engines.scan.streams import HISTORY_DEPENDENT
from headrace.synthesis.language.columns import ARRIVAL, ORDER, label_column
from headrace.synthesis.planning.plan import Group, Output


@dataclass(frozen=True, kw_only=True)
class Route:
    """A partitioned table.

    Attributes:
        table: its name.
        primary: its primary key: versions of a row stay together.
        keys: sets of key columns; a row is needed where the key of one of them is queried.
        clocks: the known times that its features are computed on.
        columns: what they read.
        lookback_us: the longest lookback of a sliced output, in us.
    """

    table: str
    primary: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    clocks: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    lookback_us: int


@dataclass(frozen=True, kw_only=True)
class EntityPlan:
    """The features of one entity.

    Attributes:
        join_keys: columns of the queries.
        groups: all of its features.
        sliced: the outputs that a slice of a key's history is enough for.
        whole: the other outputs.
        routes: the partitioned tables.
        replicated: names of the tables that every partition holds whole.
    """

    join_keys: tuple[str, ...]
    groups: tuple[Group, ...]
    sliced: tuple[Group, ...]
    whole: tuple[Group, ...]
    routes: tuple[Route, ...]
    replicated: tuple[str, ...]


def plan_entity(problem: Problem, groups: Sequence[Group]) -> EntityPlan:
    """Plan the groups of one entity, as if every row had one version; see `with_versions`."""
    replicated = tuple(dict.fromkeys(name for group in groups for name in _replicated(problem, group)))
    by_table: dict[str, list[Group]] = {}
    for group in groups:
        if group.table not in replicated and not _is_derived(problem, group.table):
            by_table.setdefault(group.table, []).append(group)
    plan = EntityPlan(
        join_keys=groups[0].join_keys,
        groups=tuple(groups),
        sliced=(),
        whole=(),
        routes=tuple(_route(problem, members) for members in by_table.values()),
        replicated=replicated,
    )
    return with_versions(plan, frozenset())


def with_versions(plan: EntityPlan, tables: frozenset[str]) -> EntityPlan:
    """The plan where rows of some tables have several versions: sums over these depend on the whole history."""
    partitioned = {route.table for route in plan.routes}

    def is_sliced(group: Group, output: Output) -> bool:
        if group.table not in partitioned:
            return True  # its tables are replicated
        if group.table in tables and output.primitive in HISTORY_DEPENDENT:
            return False
        return reads_only_lookback(output)

    return replace(
        plan,
        sliced=tuple(_subset(plan.groups, lambda group, output: is_sliced(group, output))),
        whole=tuple(_subset(plan.groups, lambda group, output: not is_sliced(group, output))),
    )


def _subset(groups: Sequence[Group], predicate: object) -> Iterator[Group]:
    for group in groups:
        columns = tuple(subset_outputs(group.columns, lambda output, group=group: predicate(group, output)))  # type: ignore
        if columns:
            yield replace(group, columns=columns)


def _is_derived(problem: Problem, table: str) -> bool:
    return problem.entity_set.sources(table) != (table,)


def _replicated(problem: Problem, group: Group) -> Iterator[str]:
    """The declared tables that a group needs whole: none where its table can be partitioned by the group's key."""
    if _is_derived(problem, group.table) or not all(map(group.is_constant, group.columns)):
        for name in sorted(group.tables):
            yield from problem.entity_set.sources(name)


def _route(problem: Problem, groups: Sequence[Group]) -> Route:
    table = problem.entity_set.table(groups[0].table)
    clocks = tuple(dict.fromkeys(group.clock for group in groups))
    outputs = [output for group in groups for plan in group.columns for output in plan.outputs]
    columns = [*table.keys, *(key for group in groups for key in group.keys), ARRIVAL, ORDER]
    columns += [TimeExpression.parse(text).column for clock in clocks for text in clock]
    columns += [column for group in groups for plan in group.columns for column in (plan.column, *plan.used)]
    if table.time is not None and any(output.on == "event" for output in outputs):
        columns.append(table.time)
    label = label_column(problem) if table.name == problem.spine.table else None
    if label in columns:
        columns = [problem.label_expression.column if column == label else column for column in columns]
    lookbacks = [output.lookback_us or 0 for output in outputs if reads_only_lookback(output)]
    return Route(
        table=table.name,
        primary=table.keys,
        keys=tuple(dict.fromkeys(group.keys for group in groups)),
        clocks=clocks,
        columns=tuple(dict.fromkeys(filter(None, columns))),
        lookback_us=max(lookbacks, default=0),
    )
