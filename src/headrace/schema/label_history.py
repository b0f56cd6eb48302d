"""The label history of a schedule: a table, derived from the others, of the labels of an entity's earlier cutoffs."""

from __future__ import annotations

from headrace.core.errors import DeclarationError
from headrace.schema.entity_set import Derived, Relationship
from headrace.schema.horizon import HorizonLabel
from headrace.schema.spine import DUE, Every
from headrace.schema.table import Table

#: The table's name, and its columns beside the entity's key and the cutoff.
LABEL_HISTORY, PAST_LABEL, LABEL_KNOWN = "label_history", "label", "label_known"


def label_history(spine: object, label: object, entity_key: str, taken: tuple[str, ...]) -> tuple[Derived, ...]:
    """The derived table of a problem, if it has one.

    Args:
        spine: of the problem.
        label: its expression.
        entity_key: the key column of the schedule's entity.
        taken: names of declared tables.

    Returns:
        One table with the relationship to its entity; nothing unless a label with a horizon is due on a schedule.

    Raises:
        DeclarationError: a declared table has the name.
    """
    if not isinstance(spine, Every) or not isinstance(label, HorizonLabel) or not label.table:
        return ()
    if LABEL_HISTORY in taken:
        raise DeclarationError(
            f"a table is called {LABEL_HISTORY!r}, as the table of past labels is",
            where="entity set",
            fix="rename it, or declare label_history=False",
        )
    table = Table(name=LABEL_HISTORY, key=(entity_key, DUE), time=DUE, known=LABEL_KNOWN, source="-")
    sources = tuple(dict.fromkeys((spine.active, label.table, spine.entity)))
    link = Relationship(f"{spine.entity}.{entity_key}", f"{LABEL_HISTORY}.{entity_key}")
    return (Derived(table=table, relationship=link, sources=sources),)
