"""Opening the Feast store of a home folder: one registry, one online file, all problems."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feast import FeatureStore
from feast.repo_config import RepoConfig
from filelock import FileLock

from headrace.core.settings import QUIET

#: The Feast project that holds every problem; feature_repo/feature_store.yaml names the same.
PROJECT = "headrace"
#: Seconds to wait for another process that applies or materialises.
LOCK_TIMEOUT_S = 600.0


def open_store(root: Path) -> FeatureStore:
    """The Feast store of a home folder. Its registry is read anew, never from a cache that is minutes old."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    folder = root.absolute() / "store"
    folder.mkdir(parents=True, exist_ok=True)
    return FeatureStore(
        config=RepoConfig(
            project=PROJECT,
            provider="local",
            registry={
                "registry_type": "sql",
                "path": f"sqlite:///{folder / 'registry.db'}",
                "cache_ttl_seconds": 1,
                "cache_mode": "sync",
            },
            offline_store={"type": "headrace.store.offline.HeadraceOfflineStore", "root": str(root.absolute())},
            online_store={"type": "headrace.store.embedded.HeadraceOnlineStore", "path": str(folder / "online.db")},
            batch_engine={"type": "headrace.store.compute.HeadraceComputeEngine"},
            materialization={"pull_latest_features": True},
            entity_key_serialization_version=3,
            auth={"type": "no_auth"},
        )
    )


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """One writer of the registry and the online file at a time, over processes; Feast itself takes no lock."""
    folder = root / "store"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "writer.lock", timeout=LOCK_TIMEOUT_S), contextlib.redirect_stdout(io.StringIO()):
        yield
