"""A problem: what to predict, from which tables, at which instants, and how the model is kept fresh."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headrace.core.errors import DeclarationError
from headrace.core.extensions import name_of, names_of
from headrace.schema.checks import CHECKS
from headrace.schema.declaration import AUTO, Declaration
from headrace.schema.entity_set import Derived
from headrace.schema.label_history import label_history

__all__ = ["AUTO", "Problem"]

_TUPLES = ("lookbacks", "entities", "ignore", "groupby", "seed_features", "include", "exclude")


@dataclass(frozen=True, kw_only=True)
class Problem(Declaration):
    """Everything a user declares, checked when it is made; `headrace check` checks what needs the data.

    The fields and their defaults are those of `Declaration`.

    Raises:
        DeclarationError: for a value that cannot be used, or two that do not fit together.
    """

    def __post_init__(self) -> None:
        if self.through != AUTO and not isinstance(self.through, str):
            object.__setattr__(self, "through", tuple(self.through))
        for name in _TUPLES:
            if isinstance(getattr(self, name), str):
                raise DeclarationError(
                    f"{name}={getattr(self, name)!r} is one text",
                    where=str(self.name),
                    fix="give a list, with brackets",
                )
            object.__setattr__(self, name, tuple(getattr(self, name)))
        names_of(self, "primitives", "primitive", where=str(self.name))
        names_of(self, "families", "family", where=str(self.name))
        name_of(self, "searcher", "searcher", where=str(self.name))
        name_of(self, "engine", "engine", where=str(self.name))
        for check in CHECKS:
            check(self)
        object.__setattr__(self, "entity_set", replace(self.entity_set, derived=self._derived()))

    def _derived(self) -> tuple[Derived, ...]:
        """The tables that follow from the declaration."""
        if not self.label_history or not self.has_label:
            return ()
        taken = tuple(table.name for table in self.entity_set.tables)
        return label_history(self.spine, self.label_expression, self.spine_table.keys[0], taken)
