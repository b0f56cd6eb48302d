"""Read one row in plain Python: its key, the value of a column, and the instant from which some columns are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from headrace.core.clock import NEVER
from headrace.schema import Problem, Table, TimeExpression
from headrace.schema.expressions import OPERATORS
from headrace.synthesis.language.columns import clock_of, label_column
from headrace.synthesis.oracle.finish import as_kind, microseconds
from headrace.synthesis.oracle.periods import period_end

Row = Mapping[str, Any]


def clock(problem: Problem, table: Table, columns: tuple[str, ...]) -> list[TimeExpression]:
    """The known times that must have passed before some columns of a table can be seen together."""
    return [TimeExpression.parse(text) for text in clock_of(problem, table, columns)]


def primary_key(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.keys)


def known_from(table: Table, clock: Sequence[TimeExpression], row: Row) -> int:
    """The instant at which a version becomes known on a clock."""
    return max([int(row["_arrival"]), *(_instant(table, expression, row) for expression in clock)])


def read_column(problem: Problem, table: Table, column: str, row: Row) -> Any:
    """A column's value, None where missing; numbers that are not finite are missing."""
    if table.name == problem.spine.table and column == label_column(problem):
        label = problem.label_expression
        value = row[label.column]
        return None if value is None else float(OPERATORS[label.operator](value, label.value))
    value = row[column]
    if value is not None and table.roles.get(column) == "categorical":
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, bool | int | float):
        return as_kind(value, "numeric")
    return microseconds(value) if isinstance(value, date) else value


def _instant(table: Table, expression: TimeExpression, row: Row) -> int:
    at = microseconds(row[expression.column])
    if at is None:
        return NEVER
    if table.resolution is not None:
        at = period_end(at, table.resolution, table.tz)
    return at + expression.offset_us
