"""What a definition reads of a row of its table, and which of that can change after the row became known.

Notation: a *row* is one of the table that an Aggregate aggregates. Definitions relative to it read the row's own
columns (*used* columns: they must be known for the row to count, and the row counts anew when they change) and
*time-varying* leaves, evaluated at the query's tick: a parent's column, an aggregate, a group's running value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace.synthesis.language.definitions import (
    Aggregate,
    Definition,
    Direct,
    Grouped,
    Kind,
    RowColumn,
    Transform,
    leaves,
)

#: A table, the row's columns that lead to its key, and so on: `session_id.sessions.customer` is one hop.
Hop = tuple[str, str]


def join_columns(entity: str) -> tuple[str, ...]:
    """The row's columns that an inner definition's entity names."""
    return tuple(entity.split("+"))


def hops(key: str) -> tuple[str, tuple[Hop, ...]]:
    """The row's own column of a key, and the (table, column) hops that follow it."""
    first, *rest = key.split(".")
    return first, tuple(zip(rest[::2], rest[1::2], strict=True))


def relative(definition: Aggregate | Direct) -> tuple[Definition, ...]:
    """The definitions that are relative to a row of its table: its value, what its condition is on."""
    values = [definition.value] if definition.value is not None else []
    if isinstance(definition, Aggregate) and definition.where is not None:
        values.append(definition.where.on)
    return tuple(values)


def used_columns(definition: Aggregate | Direct, keys: Sequence[str]) -> tuple[str, ...]:
    """Columns of a row that an Aggregate (by `keys`) or a Direct (of a table with `keys`) reads, each once."""
    columns = [hops(key)[0] for key in keys]
    if definition.value is None and definition.column:
        columns.append(definition.column)
    for item in relative(definition):
        columns += _columns(item)
    return tuple(dict.fromkeys(columns))


def _columns(definition: Definition) -> Iterator[str]:
    for leaf in leaves(definition):
        if isinstance(leaf, RowColumn):
            yield leaf.column
        elif isinstance(leaf, Grouped):
            yield from leaf.keys
            yield from _columns(leaf.value)
        elif isinstance(leaf, Direct | Aggregate):
            yield from join_columns(leaf.entity)


def grouped_columns(definition: Grouped) -> tuple[str, ...]:
    """Columns of a row that a group's running value is made from, the keys first."""
    return tuple(dict.fromkeys((*definition.keys, *_columns(definition.value))))


def time_varying(definitions: Sequence[Definition]) -> tuple[Direct | Aggregate | Grouped, ...]:
    """The leaves whose value can change while the row does not, each once."""
    below = (leaf for definition in definitions for leaf in leaves(definition))
    return tuple(dict.fromkeys(leaf for leaf in below if isinstance(leaf, Direct | Aggregate | Grouped)))


def is_constant(definition: Aggregate) -> bool:
    """Whether the aggregated values never change after the row became known."""
    return not time_varying(relative(definition)) and not any("." in key for key in definition.keys)


def value_of(definition: Aggregate | Direct, kind: Kind) -> Definition | None:
    """The aggregated value, as a definition relative to a row; None where rows themselves are counted."""
    if definition.value is not None:
        return definition.value
    return RowColumn(column=definition.column, kind=kind) if definition.column else None


def depth(definition: Definition) -> int:
    """The number of aggregations, parents' rows and groups on the longest path down to a column, without transforms."""
    below = [depth(item) for item in _inside(definition)]
    return max(below, default=0) + (not isinstance(definition, RowColumn | Transform))


def _inside(definition: Definition) -> tuple[Definition, ...]:
    if isinstance(definition, Transform):
        return definition.inputs
    if isinstance(definition, Grouped):
        return (definition.value,)
    return relative(definition) if isinstance(definition, Aggregate | Direct) else ()


def tables_read(definition: Definition) -> Iterator[str]:
    """Every table that a definition reads, however deep; some more than once."""
    if isinstance(definition, Grouped | Direct | Aggregate):
        yield definition.table
    if isinstance(definition, Aggregate):
        yield from hopped_tables(definition.keys)
    for item in _inside(definition):
        yield from tables_read(item)


def hopped_tables(keys: Sequence[str]) -> Iterator[str]:
    """The tables that the paths of some keys lead through."""
    for key in keys:
        yield from (table for table, _ in hops(key)[1])
