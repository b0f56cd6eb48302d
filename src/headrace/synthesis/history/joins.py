"""Whether the rows of a child table find their parents: by keys of types that can be compared, and at all."""

from __future__ import annotations

import numpy as np

from headrace.core.errors import DataError
from headrace.schema import Problem, Relationship
from headrace.synthesis.history.keys import KeyColumn, plain
from headrace.synthesis.language.engine import Tables


def check_joins(problem: Problem, tables: Tables) -> tuple[str, ...]:
    """A warning for each relationship by which no row finds its parent; DataError where the types do not fit."""
    return tuple(said for item in problem.entity_set.relationships if (said := _lonely(item, tables)))


def _lonely(item: Relationship, tables: Tables) -> str:
    parents = plain(tables.table(item.parent_table)[item.parent_column])
    children = plain(tables.table(item.child_table)[item.child_column])
    if not len(parents):  # its first load was refused, which is told elsewhere
        return ""
    try:
        found = KeyColumn(parents).find(children)
    except DataError:
        raise DataError(
            f"holds {parents.type}, and {item.child} holds {children.type}: they cannot be compared",
            where=item.parent,
            fix="write both keys alike",
        ) from None
    if np.any(found >= 0) or not np.any(found == -2):
        return ""
    return f"no row of {item.child_table} finds its row in {item.parent_table}: {item.child} holds other keys"
