"""An entity: what a row of features is about, and the columns of the spine's table that name it."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import DeclarationError
from headrace.core.names import LONGEST_COLUMN, check_name


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A name and its join keys.

    Args:
        name: how definitions and Feast call it.
        join_keys: columns of the spine's table, one or several (a composite key).
        parent: the table that the single join key points to, and its key column there, if any.
    """

    name: str
    join_keys: tuple[str, ...]
    parent: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "an entity", LONGEST_COLUMN)
        if not self.join_keys:
            raise DeclarationError("an entity needs a join key", where=self.name)
