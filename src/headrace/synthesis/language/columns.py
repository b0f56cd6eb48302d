"""The kind of every column, the columns that can be aggregated, and when each can be seen.

A column of the spine's table is *known at the cutoff* when its known time is a fixed offset from the same column as
the cutoff, and no later than it: that can be proved from the declaration alone, without looking at any row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from headrace.core.calendar import period_delay_us
from headrace.core.errors import DeclarationError
from headrace.schema import DUE, Entity, Problem, Table, TimeExpression
from headrace.schema.label_history import LABEL_KNOWN, PAST_LABEL
from headrace.synthesis.language.definitions import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What the lake adds to every table.
ARRIVAL, ORDER = "_arrival", "_order"

#: The kinds of columns that features are made from.
FEATURE_KINDS: dict[str, Kind] = {"numeric": "numeric", "categorical": "categorical", "boolean": "boolean"}

Kinds = Mapping[tuple[str, str], str]


def column_kinds(problem: Problem, schemas: Mapping[str, pa.Schema]) -> dict[tuple[str, str], str]:
    """The kind of every column: numeric, categorical, boolean, time, or (never a feature) id, text, ignore."""
    kinds: dict[tuple[str, str], str] = {}
    for table in problem.entity_set.tables:
        for field in schemas[table.name]:
            if field.name not in (ARRIVAL, ORDER):
                kinds[table.name, field.name] = _kind(problem, table, field)
    return kinds | derived_kinds(problem)


def derived_kinds(problem: Problem) -> dict[tuple[str, str], str]:
    """The kinds of the columns of derived tables."""
    kinds: dict[tuple[str, str], str] = {}
    for item in problem.entity_set.derived:
        own = {item.table.keys[0]: "id", DUE: "time", LABEL_KNOWN: "time"}
        own[PAST_LABEL] = "boolean" if problem.label_expression.binary else "numeric"
        kinds |= {(item.table.name, column): kind for column, kind in own.items()}
    return kinds


def _kind(problem: Problem, table: Table, field: pa.Field) -> str:
    if problem.ignores(table.name, field.name):
        return "ignore"
    if field.name in table.roles:
        return table.roles[field.name]
    if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type):
        return "time"
    if table.keys == (field.name,):
        return "id"
    if pa.types.is_boolean(field.type):
        return "boolean"
    if is_text(field.type):
        return "categorical"
    if pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
        return "id" if field.name in joining_columns(problem, table.name) else "numeric"
    return "ignore"


def is_text(arrow_type: pa.DataType) -> bool:
    """Whether values are strings, plainly or by dictionary."""
    if pa.types.is_dictionary(arrow_type):
        return is_text(arrow_type.value_type)
    return bool(pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type))


def joining_columns(problem: Problem, table: str) -> frozenset[str]:
    """Columns of a table that join it to another, or name an entity."""
    columns = {r.child_column for r in problem.entity_set.parents(table)}
    if table == problem.spine.table:
        columns.update(problem.join_keys)
    return frozenset(columns)


def aggregated_tables(problem: Problem, entity: Entity) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """The tables that an entity aggregates, and their keys: the spine's own, then its parent's other children."""
    if problem.carrier == problem.spine.table:  # a schedule has no rows of its own
        yield problem.spine_table, entity.join_keys
    if entity.parent is not None:
        for relationship in problem.entity_set.children(entity.parent[0]):
            if relationship.child_table != problem.spine.table:
                yield problem.entity_set.table(relationship.child_table), (relationship.child_column,)


def aggregated_columns(
    problem: Problem, table: Table, keys: tuple[str, ...], kinds: Kinds
) -> Iterator[tuple[str, Kind]]:
    """Columns that can be aggregated and their kinds: not the keys themselves; the derived label last."""
    for (name, column), kind in kinds.items():
        if name == table.name and kind in FEATURE_KINDS and column not in keys:
            yield column, FEATURE_KINDS[kind]
    derived = label_column(problem)
    if table == problem.spine_table and derived is not None:
        yield derived, "boolean"


def label_column(problem: Problem) -> str | None:
    """The derived boolean column of past labels; None where the label is a column's own value.

    It is called `label`, or `label_is_true` where the label's own column bears that name.
    """
    expression = problem.label_expression
    if not expression.binary or not expression.column:
        return None
    return "label_is_true" if expression.column == "label" else "label"


def check_label_name(problem: Problem, schema: pa.Schema) -> None:
    """Raise DeclarationError where a table's own column has the name of the derived label."""
    derived = label_column(problem)
    if derived is not None and derived in schema.names:
        raise DeclarationError(
            f"column {derived!r} has the name of the derived label",
            where=f"{problem.name}.{problem.spine.table}",
            fix="rename the column, or make it the label",
        )


def known_expression(problem: Problem, table: Table, column: str) -> TimeExpression | None:
    """When a column can first be seen; None in a table without time.

    An instant that a known time is read from (`departed`) is itself seen no earlier than that.
    """
    if table.name == problem.spine.table and column == label_column(problem):
        column = problem.label_expression.column
    row = table.row_known
    if row is not None and row.column != column and column not in table.known_at:
        expressions = (TimeExpression.parse(text) for text in table.known_at.values())
        offsets = [expression.offset_us for expression in expressions if expression.column == column]
        if offsets:
            return TimeExpression(column=column, offset_us=max(0, min(offsets)))
    return table.column_known(column)


def clock_of(problem: Problem, table: Table, columns: Iterable[str]) -> tuple[str, ...]:
    """The known times that all must have passed before these columns can be seen together, sorted."""
    expressions = (known_expression(problem, table, column) for column in columns)
    return tuple(sorted({str(expression) for expression in expressions if expression is not None}))


def known_at_cutoff(problem: Problem, column: str) -> bool:
    """Whether the declaration proves that a column of the spine's own row is known at its cutoff."""
    table = problem.spine_table
    if column in (problem.label_expression.column, label_column(problem)):
        return False
    expression = known_expression(problem, table, column)
    delay_us = period_delay_us(table.resolution, table.tz)
    return (
        expression is not None
        and expression.column == problem.cutoff.column
        and expression.offset_us + delay_us <= problem.cutoff.offset_us
    )
