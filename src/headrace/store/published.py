"""The published definitions of a problem: feature services and the views that store their features. Without Feast.

store/<problem>/published.json is written last and atomically, so a service that it names is in Feast's registry too. It
is stored twice with a checksum (`core.replicas`). Serving reads this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from headrace.core.errors import ConflictError, CorruptError, NotFoundError
from headrace.core.fingerprint import fingerprint
from headrace.core.replicas import read_replicas, replica_path, write_replicas
from headrace.schema import Problem
from headrace.synthesis.language.definitions import Definition, Direct, Stored, from_json, stored, to_json

#: What a join key is in the lake. The store keeps whole numbers as numbers and all others as texts (`lake.keys`).
KeyType = Literal["string", "int64", "float64", "boolean", "time"]
LAKE_TYPES: Mapping[KeyType, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
}
KEY_TYPES: Mapping[KeyType, pa.DataType] = {
    name: kind if pa.types.is_integer(kind) else pa.string() for name, kind in LAKE_TYPES.items()
}


def view_name(problem: str, entity: str) -> str:
    """Return the name of the Feast feature view (and data source) of an entity of a problem."""
    return f"{problem}__{entity}"


def service_name(problem: str, service: str) -> str:
    """Return the name of the Feast feature service of a published service."""
    return f"{problem}__{service}"


@dataclass(frozen=True, kw_only=True)
class View:
    """The stored definitions of one entity: the union over all services, in order of first publication."""

    name: str
    entity: str
    join_keys: tuple[str, ...]
    definitions: tuple[Stored, ...]

    @property
    def slugs(self) -> tuple[str, ...]:
        return tuple(item.slug for item in self.definitions)

    def select(self, slugs: Iterable[str]) -> tuple[Stored, ...]:
        """Return the definitions of these columns, in this order.

        Raises:
            NotFoundError: The view has no such column.
        """
        definition_by_slug = {item.slug: item for item in self.definitions}
        missing = [slug for slug in slugs if slug not in definition_by_slug]
        if missing:
            raise NotFoundError(f"no feature {missing[0]!r}", where=self.name, found=definition_by_slug)
        return tuple(definition_by_slug[slug] for slug in slugs)


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is published for one problem.

    Attributes:
        problem: Name of the problem.
        reference: How a process loads the problem: catalogue name or path.
        tick_us: Tick of its views, microseconds.
        key_types: Join key -> type in the lake.
        services: Service -> all definitions of a model, transforms included.
        views: The feature views.
    """

    problem: str
    reference: str
    tick_us: int
    key_types: Mapping[str, KeyType]
    services: Mapping[str, tuple[Definition, ...]] = field(default_factory=dict)
    views: tuple[View, ...] = ()

    def view(self, name: str) -> View:
        """Return a view by its name; NotFoundError where there is none."""
        for view in self.views:
            if view.name == name:
                return view
        raise NotFoundError(f"no view {name!r}", where=self.problem, found=[view.name for view in self.views])

    def service(self, name: str) -> tuple[Definition, ...]:
        """Return the definitions of a service; NotFoundError where it is not published."""
        if name not in self.services:
            raise NotFoundError(
                f"no feature service {name!r}", where=self.problem, found=self.services, fix="publish it first"
            )
        return self.services[name]

    def service_columns(self, name: str) -> dict[str, tuple[str, ...]]:
        """Return view -> the slugs that a service reads from it."""
        columns: dict[str, list[str]] = {}
        for item in stored(self.service(name)):
            columns.setdefault(view_name(self.problem, item.entity), []).append(item.slug)
        return {view: tuple(slugs) for view, slugs in columns.items()}

    def with_service(self, problem: Problem, name: str, definitions: Iterable[Definition]) -> Published:
        """Return a copy with one service added or replaced, and the views extended by its definitions."""
        definitions = tuple(definitions)
        views = {view.name: view for view in self.views}
        for item in stored(definitions):
            feature_view = view_name(problem.name, item.entity)
            entity = problem.entity(item.entity)
            view = views.get(feature_view) or View(
                name=feature_view, entity=entity.name, join_keys=entity.join_keys, definitions=()
            )
            if item not in view.definitions:
                _refuse_same_slug(view, item)
                views[feature_view] = replace(view, definitions=(*view.definitions, item))
        return Published(
            problem=self.problem,
            reference=self.reference,
            tick_us=self.tick_us,
            key_types=self.key_types,
            services={**self.services, name: definitions},
            views=tuple(views.values()),
        )


def _refuse_same_slug(view: View, added: Direct | Any) -> None:
    for item in view.definitions:
        if item.slug == added.slug:
            raise ConflictError(f"{item.name} and {added.name} would share the column {added.slug!r}", where=view.name)


def published_path(root: Path, problem: str) -> Path:
    """Return the path of a problem's published.json."""
    return root / "store" / problem / "published.json"


def read_published(root: Path, problem: str) -> Published:
    """Read what is published for a problem.

    Raises:
        NotFoundError: Nothing is published yet.
        CorruptError: The file and its replica are damaged, or belong to another problem.
    """
    data = read_replicas(published_path(root, problem))
    if data.get("problem") != problem:
        fix = "bring it and its copy back from a backup, or delete both and run again"
        raise CorruptError(
            f"is not of {problem!r}", where=str(published_path(root, problem)), found=list(data)[:3], fix=fix
        )
    return Published(
        problem=data["problem"],
        reference=data["reference"],
        tick_us=data["tick_us"],
        key_types=data["key_types"],
        services={name: tuple(map(from_json, items)) for name, items in data["services"].items()},
        views=tuple(
            View(
                name=view["name"],
                entity=view["entity"],
                join_keys=tuple(view["join_keys"]),
                definitions=stored(map(from_json, view["definitions"])),
            )
            for view in data["views"]
        ),
    )


def write_published(root: Path, published: Published) -> None:
    """Replace a problem's published definitions atomically."""
    write_replicas(
        published_path(root, published.problem),
        {
            "problem": published.problem,
            "reference": published.reference,
            "tick_us": published.tick_us,
            "key_types": dict(published.key_types),
            "services": {name: [to_json(item) for item in items] for name, items in published.services.items()},
            "views": [
                {
                    "name": view.name,
                    "entity": view.entity,
                    "join_keys": list(view.join_keys),
                    "definitions": [to_json(item) for item in view.definitions],
                }
                for view in published.views
            ],
        },
    )


def all_published(root: Path) -> tuple[Published, ...]:
    """Read what is published for every problem of a home folder, by name."""
    names = ("published.json", replica_path(Path("published.json")).name)
    problems = {path.parent.name for name in names for path in (root / "store").glob(f"*/{name}")}
    return tuple(read_published(root, problem) for problem in sorted(problems))


def layout(view: View) -> str:
    """Return the digest of a view's definitions; a materialised view with another digest must be written again."""
    return fingerprint([to_json(item) for item in view.definitions])
