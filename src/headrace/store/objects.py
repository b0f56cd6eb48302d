"""Build the Feast objects of published definitions: an entity per join key, a view per entity, a service per model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field
from feast.types import FeastType, Float64, Int64, String
from feast.value_type import ValueType

from headrace.core.clock import format_duration
from headrace.store.published import Published, View, service_name
from headrace.store.source import SynthesisSource
from headrace.synthesis.language.definitions import Kind

#: The same as history.STORED_TYPES, in Feast's words.
FIELD_TYPES: Mapping[Kind, FeastType] = {
    "numeric": Float64,
    "boolean": Float64,
    "categorical": String,
    "text": String,
    "time": Int64,
}


def feast_objects(published: Published) -> list[Any]:
    """Return all Feast objects of one problem in a fixed order: entities, views with their sources, services."""
    entities = {name: _entity(published, name) for view in published.views for name in view.join_keys}
    views = {view.name: _view(published, view, entities) for view in published.views}
    sources = [view.batch_source for view in views.values()]
    services = [_service(published, name, views) for name in published.services]
    return [*entities.values(), *sources, *views.values(), *services]


def _entity(published: Published, join_key: str) -> Entity:
    return Entity(
        name=f"{published.problem}__{join_key}",
        join_keys=[join_key],
        value_type=ValueType.INT64 if published.key_types[join_key] == "int64" else ValueType.STRING,
        tags={"problem": published.problem},
    )


def _view(published: Published, view: View, entities: Mapping[str, Entity]) -> FeatureView:
    keys = [
        Field(name=name, dtype=Int64 if published.key_types[name] == "int64" else String) for name in view.join_keys
    ]
    features = [
        Field(name=item.slug, dtype=FIELD_TYPES[item.kind], description=item.name, tags={"kind": item.kind})
        for item in view.definitions
    ]
    return FeatureView(
        name=view.name,
        entities=[entities[name] for name in view.join_keys],
        schema=[*keys, *features],
        source=SynthesisSource(name=view.name, problem=published.problem, entity=view.entity),
        ttl=timedelta(0),  # any other loses values that did not change for as long
        online=True,
        description=f"{view.entity} of {published.problem}, as known at each {format_duration(published.tick_us)} tick",
        tags={"problem": published.problem, "entity": view.entity, "tick": format_duration(published.tick_us)},
    )


def _service(published: Published, name: str, views: Mapping[str, FeatureView]) -> FeatureService:
    columns = published.service_columns(name)
    return FeatureService(
        name=service_name(published.problem, name),
        features=[views[view][list(slugs)] for view, slugs in columns.items()],
        tags={"problem": published.problem, "features": str(len(published.service(name)))},
    )
