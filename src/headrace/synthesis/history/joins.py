"""Check that the rows of a child table find their parents: by keys of comparable types, and at all."""

from __future__ import annotations

import numpy as np

from headrace.core.errors import DataError
from headrace.schema import Problem, Relationship
from headrace.synthesis.history.keys import KeyColumn, plain
from headrace.synthesis.language.engine import Tables


def check_joins(problem: Problem, tables: Tables) -> tuple[str, ...]:
    """Warnings for relationships through which no row finds its parent.

    Raises:
        DataError: the types of the two keys cannot be compared.
    """
    return tuple(warning for item in problem.entity_set.relationships if (warning := _unmatched(item, tables)))


def _unmatched(item: Relationship, tables: Tables) -> str:
    parents = plain(tables.table(item.parent_table)[item.parent_column])
    children = plain(tables.table(item.child_table)[item.child_column])
    if not len(parents):  # its first load was refused, which is reported elsewhere
        return ""
    try:
        codes = KeyColumn(parents).find(children)
    except DataError:
        raise DataError(
            f"holds {parents.type}, and {item.child} holds {children.type}: they cannot be compared",
            where=item.parent,
            fix="write both keys alike",
        ) from None
    if np.any(codes >= 0) or not np.any(codes == -2):
        return ""
    return f"no row of {item.child_table} finds its row in {item.parent_table}: {item.child} holds other keys"
