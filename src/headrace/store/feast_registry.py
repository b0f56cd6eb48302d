"""Compare Feast's registry with what is published, and apply what is missing (after `feast teardown`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.store.published import Published, service_name
from headrace.store.registry_place import registry_place

if TYPE_CHECKING:
    from feast import FeatureStore


def is_registered(root: Path, problem: str, service: str) -> bool:
    """Whether a service is in an intact registry. Fast: without importing Feast, which takes seconds."""
    registry = registry_place(root)
    return registry.is_sound() and registry.has_service(service_name(problem, service))


def agrees(store: FeatureStore, published: Published, *, wholly: bool = False) -> bool:
    """Whether what the registry has of a problem is as it is published.

    False also where Feast cannot read it: a value that changed on disk makes Feast fail in many ways, or read another
    feature. Objects of other people are not read: they may need classes that are not here.

    Args:
        store: Open.
        published: What is published of the problem.
        wholly: It has to have everything; else what it lacks counts for nothing (`register_missing`).
    """
    from headrace.store.objects import feast_objects

    objects = feast_objects(published)
    try:
        found = _contents(_registered(store, objects))
    except Exception:  # of protobuf, Feast, SQLAlchemy, and whatever else meets a damaged value
        return False
    expected = _contents(objects)
    return found == (expected if wholly else {key: expected[key] for key in found})


def is_readable(store: FeatureStore) -> bool:
    """Whether Feast can read the records that it has for itself."""
    try:
        store.registry.get_project(store.project)
        store.registry.get_infra(store.project)
    except Exception:  # as in `agrees`
        return False
    return True


def _registered(store: FeatureStore, objects: Iterable[Any]) -> list[Any]:
    """What the registry has under the names of these objects."""
    from feast.errors import FeastObjectNotFoundException

    registry, found = store.registry, []
    readers: dict[str, Callable[[str, str], Any]] = {
        "Entity": registry.get_entity,
        "FeatureView": registry.get_feature_view,
        "FeatureService": registry.get_feature_service,
    }
    for item in objects:
        read = readers.get(type(item).__name__, registry.get_data_source)
        with suppress(FeastObjectNotFoundException):
            found.append(read(item.name, store.project))
    return found


def _contents(objects: Iterable[Any]) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return (type, name) -> what is published of it, for entities, sources, views and services."""
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    for item in objects:
        kind, tags = type(item).__name__, dict(item.tags or {})
        if kind == "Entity":
            found[kind, item.name] = (item.join_key, item.value_type, tags)
        elif kind == "FeatureView":
            columns, source = (*item.entity_columns, *item.features), str(item.batch_source)
            found[kind, item.name] = (columns, tuple(item.entities), source, item.ttl, tags)
        elif kind == "FeatureService":
            features = tuple((part.name, *part.features) for part in item.feature_view_projections)
            found[kind, item.name] = (features, tags)
        else:
            found["DataSource", item.name] = (str(item),)
    return found


def register(store: FeatureStore, published: Published) -> None:
    """Apply all objects of a problem. The caller holds the writer's lock."""
    from headrace.store.objects import feast_objects

    _forget_history(store, {view.name for view in published.views} - _views(store, published))
    store.apply(feast_objects(published), skip_feature_view_validation=True)


def register_missing(store: FeatureStore, published: Published) -> None:
    """Apply them where the registry lacks a view or a service (after `feast teardown`)."""
    services = {item.name for item in store.list_feature_services(tags={"problem": published.problem})}
    expected = {service_name(published.problem, name) for name in published.services}
    if not (expected <= services and {view.name for view in published.views} <= _views(store, published)):
        register(store, published)


def _views(store: FeatureStore, published: Published) -> set[str]:
    from headrace.store.objects import feast_objects

    views = [item for item in feast_objects(published) if type(item).__name__ == "FeatureView"]
    return {view.name for view in _registered(store, views)}


def _forget_history(store: FeatureStore, names: set[str]) -> None:
    """Delete the version histories of removed views.

    `feast teardown` leaves them, and Feast then fails to create the views again ("UNIQUE constraint failed").
    """
    from feast.infra.registry.sql import SqlRegistry, feature_view_version_history
    from sqlalchemy import delete

    if names and isinstance(store.registry, SqlRegistry):
        table = feature_view_version_history
        conditions = (table.c.project_id == store.project, table.c.feature_view_name.in_(names))
        with store.registry.write_engine.begin() as connection:
            connection.execute(delete(table).where(*conditions))
