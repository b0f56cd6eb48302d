"""Compare Feast's registry with what is published, and apply what is missing (after `feast teardown`)."""

from __future__ import annotations

from collections.abc import Iterable
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


def agrees(store: FeatureStore, published: Published) -> bool:
    """Whether what the registry has of a problem is as it is published.

    What it lacks counts for nothing (`register_missing`). False also where Feast cannot read it: a value that changed
    on disk makes Feast fail in many ways, or read another feature.
    """
    from headrace.store.objects import feast_objects

    expected, tags = _contents(feast_objects(published)), {"problem": published.problem}
    try:
        found = _contents(
            [
                *store.list_entities(tags=tags),
                *store.list_feature_views(tags=tags),
                *store.list_feature_services(tags=tags),
            ]
        )
    except Exception:  # of protobuf, Feast, SQLAlchemy, and whatever else meets a damaged value
        return False
    return all(expected.get(key, content) == content for key, content in found.items())


def _contents(objects: Iterable[Any]) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return (type, name) -> what is published of it, for entities, views and services."""
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
    return {view.name for view in store.list_feature_views(tags={"problem": published.problem})}


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
