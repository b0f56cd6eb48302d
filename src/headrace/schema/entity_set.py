"""Tables and the relationships between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from headrace.core.errors import DeclarationError
from headrace.schema.paths import resolve_paths
from headrace.schema.table import Table


@dataclass(frozen=True)
class Relationship:
    """One parent row to many child rows: `Relationship("planes.tailnum", "flights.tailnum")`."""

    parent: str
    child: str

    def __post_init__(self) -> None:
        for side in (self.parent, self.child):
            if side.count(".") != 1 or not all(part.isidentifier() for part in side.split(".")):
                raise DeclarationError(f"{side!r} is not table.column", where="relationship")

    @property
    def parent_table(self) -> str:
        return self.parent.split(".")[0]

    @property
    def parent_column(self) -> str:
        return self.parent.split(".")[1]

    @property
    def child_table(self) -> str:
        return self.child.split(".")[0]

    @property
    def child_column(self) -> str:
        return self.child.split(".")[1]


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A table that engines compute from declared tables. No source and no batch holds its rows.

    Attributes:
        table: how it would be declared.
        relationship: from the table of its entity.
        sources: names of the declared tables that it is computed from.
    """

    table: Table
    relationship: Relationship
    sources: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EntitySet:
    """Tables by name and their relationships, without a circle.

    Args:
        tables: the declared tables.
        relationships: between them.
        derived: tables that follow from the declaration of a problem (`Problem` adds them): `table`, `children` and
            `parents` find them too.
    """

    tables: tuple[Table, ...]
    relationships: tuple[Relationship, ...] = ()
    derived: tuple[Derived, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", tuple(self.tables))
        object.__setattr__(self, "relationships", tuple(self.relationships))
        for kind, items in ((Table, self.tables), (Relationship, self.relationships)):
            for item in items:
                if not isinstance(item, kind):
                    raise DeclarationError(f"{item!r} is no {kind.__name__}", where="entity set")
        names = [table.name for table in self.tables]
        for name in names:
            if names.count(name) > 1:
                raise DeclarationError(f"two tables are called {name!r}", where="entity set", found=names)
        for relationship in self.relationships:
            parent = self.table(relationship.parent_table)
            self.table(relationship.child_table)
            if parent.keys != (relationship.parent_column,):
                raise DeclarationError(
                    f"{relationship.parent} is not the key of {parent.name}",
                    where=f"relationship {relationship.parent} -> {relationship.child}",
                    found=parent.keys,
                    fix="a relationship starts at the parent's key",
                )
        self._refuse_circles()
        object.__setattr__(self, "tables", resolve_paths(self.tables, self.relationships))

    def table(self, name: str) -> Table:
        """The table of that name."""
        for table in (*self.tables, *(item.table for item in self.derived)):
            if table.name == name:
                return table
        raise DeclarationError(f"no table {name!r}", where="entity set", found=[table.name for table in self.tables])

    def children(self, parent: str) -> tuple[Relationship, ...]:
        """Relationships that start at a table."""
        return tuple(r for r in self._links if r.parent_table == parent)

    def parents(self, child: str) -> tuple[Relationship, ...]:
        """Relationships that end at a table."""
        return tuple(r for r in self._links if r.child_table == child)

    def sources(self, name: str) -> tuple[str, ...]:
        """The declared tables that a table's rows come from: itself, or what a derived table is computed from."""
        return next((item.sources for item in self.derived if item.table.name == name), (name,))

    @property
    def _links(self) -> tuple[Relationship, ...]:
        return (*self.relationships, *(item.relationship for item in self.derived))

    def _refuse_circles(self) -> None:
        def walk(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                circle = " -> ".join((*path[path.index(name) :], name))
                raise DeclarationError(f"relationships run in a circle: {circle}", where="entity set")
            for relationship in self.children(name):
                walk(relationship.child_table, (*path, name))

        for table in self.tables:
            walk(table.name, ())
