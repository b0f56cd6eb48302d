"""Publish a model's features: entities, views and a service in Feast's registry, the definitions in published.json."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from feast.errors import FeatureServiceNotFoundException, FeatureViewNotFoundException

from headrace.core.errors import CorruptError, NotFoundError
from headrace.lake.store import Snapshot
from headrace.schema import Problem
from headrace.store.feast_registry import register
from headrace.store.history import current_snapshot, key_type
from headrace.store.materialise import online_rows
from headrace.store.published import KeyType, Published, read_published, service_name, write_published
from headrace.store.repo import open_store, with_sound_registry, writing
from headrace.synthesis.language.definitions import Definition

_log = logging.getLogger(__name__)


def publish(
    root: Path,
    problem: Problem,
    definitions: Iterable[Definition],
    service: str,
    *,
    reference: str | None = None,
    before_writing: Callable[[], None] | None = None,
) -> Published:
    """Publish a feature service and extend the views that it reads. Idempotent; nothing is removed.

    The registry is written first and published.json last, so a service that the file names is complete.

    Args:
        root: Home folder.
        problem: The problem.
        definitions: The features of the service, transforms included.
        service: Its name.
        reference: How another process loads the problem (catalogue name or file path); default: its file or name.
        before_writing: Called when no other process writes the store; raises where nothing may be written.
    """
    root = root.absolute()
    with writing(root):
        online_rows(root).set_aside_if_damaged()  # Feast makes the tables of the views in it
        existing = _published(root, problem)
        snapshot = current_snapshot(root, problem.name)
        base = Published(
            problem=problem.name,
            reference=_located(problem, reference),
            tick_us=problem.tick_us,
            key_types=_key_types(problem, snapshot),
            services=existing.services if existing else {},
            views=existing.views if existing else (),
        )
        updated = base.with_service(problem, service, definitions)
        if before_writing is not None:
            before_writing()
        with_sound_registry(root, lambda store: register(store, updated))
        if updated != existing:
            write_published(root, updated)
    return updated


def retire(root: Path, problem: Problem, *, keep: Collection[str]) -> Published:
    """Remove a problem's other services, and the columns of its views that only they used.

    published.json is written first: a service that it does not name may still be in Feast, never the reverse.

    Args:
        root: Home folder.
        problem: The problem.
        keep: Services that stay.
    """
    root = root.absolute()
    with writing(root):
        online_rows(root).set_aside_if_damaged()
        existing = read_published(root, problem.name)
        updated = replace(existing, services={}, views=())
        for name, definitions in existing.services.items():
            if name in keep:
                updated = updated.with_service(problem, name, definitions)
        store = open_store(root)  # before: the registry is compared with what is published
        write_published(root, updated)
        # Only what this home published: another home may share the registry.
        for name in existing.services.keys() - updated.services.keys():
            with suppress(FeatureServiceNotFoundException):
                store.delete_feature_service(service_name(problem.name, name))
        register(store, updated)
        for name in {view.name for view in existing.views} - {view.name for view in updated.views}:
            with suppress(FeatureViewNotFoundException):
                store.delete_feature_view(name)
            online_rows(root).drop(name)
    return updated


def _located(problem: Problem, reference: str | None) -> str:
    """Return a reference that is valid from any working folder: an absolute path, else the catalogue's name."""
    if problem.path is not None:
        return str(problem.path.absolute())
    return reference or problem.name


def _published(root: Path, problem: Problem) -> Published | None:
    try:
        return read_published(root, problem.name)
    except NotFoundError:
        return None
    except CorruptError as error:
        _log.warning("%s: published anew", error)
        return None


def _key_types(problem: Problem, snapshot: Snapshot) -> dict[str, KeyType]:
    schema = snapshot.schema(problem.carrier)
    return {name: key_type(problem, schema, name) for name in problem.join_keys}
