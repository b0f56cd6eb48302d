"""Lakes for the store's tests; see world.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.world import World, features, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh lake; nothing published."""
    return make_world(tmp_path)


@pytest.fixture(scope="session")
def published_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A lake with all features published as service `all`. Read only."""
    from headrace.store.publish import publish

    made = make_world(tmp_path_factory.mktemp("store"))
    publish(made.root, made.problem, features(), "all")
    return made
