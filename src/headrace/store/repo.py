"""Open the Feast store of a home folder: one registry and one online file for all problems.

The registry mirrors what is published; a damaged or missing registry is rebuilt from it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from feast import FeatureStore
from feast.repo_config import RepoConfig
from filelock import FileLock, Timeout

from headrace.core.errors import ConflictError, HeadraceError
from headrace.core.settings import QUIET
from headrace.store.backends import chosen_backends
from headrace.store.feast_registry import agrees, is_readable
from headrace.store.objects import feast_objects
from headrace.store.published import all_published
from headrace.store.registry_place import registry_place

#: The Feast project that holds every problem; feature_repo/feature_store.yaml names the same.
PROJECT = "headrace"
#: Seconds to wait for another process that applies or materialises.
LOCK_TIMEOUT_S = 600.0


_log = logging.getLogger(__name__)
T = TypeVar("T")


def open_store(root: Path) -> FeatureStore:
    """Open the Feast store of a home folder, without a stale registry cache.

    A registry that is damaged, missing or not as it is published is rebuilt first, and that is logged.

    Raises:
        UnavailableError: The registry is in PostgreSQL, which cannot be reached.
    """
    with registry_place(root).translated():
        if _is_damaged(root):
            _rebuild_registry(root)
        store = _open(root)
        if not _agrees(root, store):
            _rebuild_registry(root)
            store = _open(root)
        return store


def with_sound_registry(root: Path, work: Callable[[FeatureStore], T]) -> T:
    """Call `work` with the open store; where Feast fails on a damaged registry, rebuild that and call it once more.

    A value that changed on disk makes Feast fail in many ways. Where the registry is as it is published, the error
    comes from elsewhere, such as an online store that cannot be reached.

    Args:
        root: Home folder.
        work: Can be repeated.

    Returns:
        What `work` returned.
    """
    _configuration(root)  # what is wrong in the settings is no damage
    try:
        return work(open_store(root))
    except (HeadraceError, OSError, MemoryError):
        raise
    except Exception as error:
        if not registry_place(root).may_be_damage(error) or _is_intact(root):
            raise
        _log.warning("Feast could not use its registry: %s: %s", type(error).__name__, str(error).partition("\n")[0])
        with writing(root):
            _make_again(root)
        return work(_open(root))


def _rebuild_registry(root: Path) -> None:
    with writing(root):
        if not _is_damaged(root):
            if _agrees(root, _open(root)):
                return  # another process was faster
            try:
                _apply_published(root)  # keeps other objects, which people may have added
            except Exception as error:
                if not registry_place(root).may_be_damage(error):
                    raise
            if _agrees(root, _open(root)):
                _log.warning("Feast's registry of %s was not as it is published: the features are applied again", root)
                return
        _make_again(root)


def _make_again(root: Path) -> None:
    _log.warning("Feast's registry of %s is damaged or gone: it is made again from what is published", root)
    registry_place(root).set_aside()
    _apply_published(root)


def _apply_published(root: Path) -> None:
    store = _open(root)
    for published in all_published(root):
        store.apply(feast_objects(published), skip_feature_view_validation=True)


def _is_damaged(root: Path) -> bool:
    """Whether the registry is damaged, or missing although something is published."""
    registry = registry_place(root)
    return not registry.is_sound() and (registry.exists() or bool(all_published(root)))


def _agrees(root: Path, store: FeatureStore) -> bool:
    """Whether the registry has what is published as it is published, but for what it lacks; True where it is shared."""
    return registry_place(root).is_shared or all(agrees(store, published) for published in all_published(root))


def _is_intact(root: Path) -> bool:
    """Whether the registry has all that is published, as it is published, and Feast can read and write it."""
    if _is_damaged(root) or not registry_place(root).accepts_writes():
        return False
    try:
        store = _open(root)
        if not is_readable(store):
            return False
        return all(agrees(store, published, wholly=True) for published in all_published(root))
    except Exception:  # whatever meets a damaged value
        return False


def _open(root: Path) -> FeatureStore:
    registry_place(root).prepare()
    return FeatureStore(config=_configuration(root))


def _configuration(root: Path) -> RepoConfig:
    """Return Feast's configuration of a home folder.

    Raises:
        FeastError: `feature_store.yaml` names a store that Feast does not know.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    folder = root.absolute() / "store"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = chosen_backends(root.absolute())
    offline = {"type": "headrace.store.offline.HeadraceOfflineStore", "root": str(root.absolute())}
    embedded = {"type": "headrace.store.embedded.HeadraceOnlineStore", "path": str(folder / "online.db")}
    return RepoConfig(
        project=PROJECT,
        provider="local",
        registry={
            "registry_type": "sql",
            **registry_place(root).options(),
            "cache_ttl_seconds": 1,
            "cache_mode": "sync",
        },
        offline_store=offline | chosen.get("offline_store", {}),
        online_store=chosen.get("online_store", embedded),
        batch_engine={"type": "headrace.store.compute.HeadraceComputeEngine"},
        materialization={"pull_latest_features": True},
        entity_key_serialization_version=3,
        auth={"type": "no_auth"},
    )


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Lock the registry and the online file against other processes; reentrant. Feast itself takes no lock.

    Raises:
        ConflictError: Another process has held the lock for long.
    """
    folder = root / "store"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "writer.lock", timeout=LOCK_TIMEOUT_S, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise ConflictError(
            f"another process has written the store for more than {LOCK_TIMEOUT_S:.0f} s",
            where=str(folder),
            fix="see that it ends, then do it again",
        ) from None
    try:
        with contextlib.redirect_stdout(io.StringIO()), registry_place(root).translated():
            yield
    finally:
        lock.release()
