"""An entity: what a row of features is about, and the columns of the spine's table that name it."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A name and its join keys: columns of the spine's table, one or several (a composite key).

    parent: the table that the single join key points to, and its key column there, if any.
    """

    name: str
    join_keys: tuple[str, ...]
    parent: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise DeclarationError(f"{self.name!r} cannot name an entity", fix="use letters, digits and underscores")
        if not self.join_keys:
            raise DeclarationError("an entity needs a join key", where=self.name)
