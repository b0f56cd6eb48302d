"""Feast's registry in PostgreSQL: what is registered in a file is registered there; lost, it is made again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from headrace.core.clock import DAY
from headrace.core.errors import UnavailableError
from headrace.core.settings import settings
from headrace.store.backends import chosen_backends
from headrace.store.feast_registry import is_registered
from headrace.store.materialise import materialise, online_is_current
from headrace.store.online import OnlineStore
from headrace.store.publish import publish
from headrace.store.registry_place import RegistryInPostgresql, registry_place
from headrace.store.repo import open_store, with_sound_registry
from tests.store.world import START, World, features, set_clock

CLOCK = START + 12 * DAY
NOBODY = "postgresql://headrace:planted-password@127.0.0.1:1/headrace"


@pytest.fixture
def in_postgresql(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The setting HEADRACE_DATABASE_URL names an empty database."""
    monkeypatch.setenv("HEADRACE_DATABASE_URL", postgresql_url)
    settings.cache_clear()
    yield postgresql_url
    monkeypatch.delenv("HEADRACE_DATABASE_URL")
    settings.cache_clear()


def _registered(root: Path) -> tuple[list[str], list[str]]:
    store = open_store(root)
    views, services = store.list_feature_views(), store.list_feature_services()
    return sorted(one.name for one in views), sorted(one.name for one in services)


def test_postgresql_has_what_the_file_has_and_is_made_again_where_it_is_lost(
    world: World, published_world: World, in_postgresql: str
) -> None:
    assert not is_registered(world.root, "harbour", "all")
    publish(world.root, world.problem, features(), "all")
    assert is_registered(world.root, "harbour", "all")
    assert not is_registered(world.root, "harbour", "other")
    assert not (world.root / "store" / "registry.db").exists()
    registered = _registered(world.root)
    with psycopg.connect(in_postgresql, autocommit=True) as connection:
        connection.execute("DROP SCHEMA feast_registry CASCADE")
    assert not is_registered(world.root, "harbour", "all")
    assert _registered(world.root) == registered
    assert is_registered(world.root, "harbour", "all")
    file = registry_place(published_world.root, database_url="")
    assert all(file.has_service(name) for name in registered[1])


def test_a_home_that_knows_less_takes_nothing_from_a_shared_registry(
    world: World, in_postgresql: str, tmp_path: Path
) -> None:
    few = features()[:2]
    other = replace(world, root=tmp_path / "other")
    shutil.copytree(world.root, other.root)
    publish(other.root, other.problem, few, "all")
    publish(world.root, world.problem, features(), "all")  # the same service, with more features
    before = _features(world.root)
    assert _features(other.root) == before
    with pytest.raises(ValueError, match="no registry"):
        with_sound_registry(other.root, _fail)
    assert _features(other.root) == before


def test_a_home_that_knows_less_writes_what_it_published(world: World, in_postgresql: str, tmp_path: Path) -> None:
    other = replace(world, root=tmp_path / "other")
    shutil.copytree(world.root, other.root)
    set_clock(other, CLOCK)
    publish(other.root, other.problem, features()[:2], "few")
    publish(world.root, world.problem, features(), "all")  # the same views, with more features
    assert materialise(other.root, other.problem, CLOCK)
    read = OnlineStore(other.root, other.problem).read("few", [{"boat": "anna", "berth": 2**40}], CLOCK)
    assert {age.status for age in read[0].ages.values()} == {"FRESH"}
    assert online_is_current(other.root, other.problem, CLOCK)


def _features(root: Path) -> dict[str, list[str]]:
    return {view.name: [field.name for field in view.features] for view in open_store(root).list_feature_views()}


def _fail(store: object) -> None:
    raise ValueError("no registry")


def test_without_postgresql_the_error_names_the_database_and_no_password(tmp_path: Path) -> None:
    place = RegistryInPostgresql(address=NOBODY)
    with pytest.raises(UnavailableError, match="cannot be used") as raised:
        place.is_sound()
    assert "127.0.0.1:1/headrace feast_registry" in str(raised.value)
    assert "planted-password" not in str(raised.value)


def test_the_setting_names_redis_where_the_home_names_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    settings.cache_clear()
    try:
        assert chosen_backends(tmp_path)["online_store"]["url"] == "redis://:secret@127.0.0.1:1/0"
        (tmp_path / "feature_store.yaml").write_text("online_store:\n  type: sqlite\n  path: x.db\n")
        assert chosen_backends(tmp_path) == {"online_store": {"type": "sqlite", "path": "x.db"}}
    finally:
        monkeypatch.delenv("HEADRACE_REDIS_URL")
        settings.cache_clear()
