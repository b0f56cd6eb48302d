"""A value of Feast's registry that changed on disk: the registry is made again, and the features are as they were."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.protos.feast.core.FeatureView_pb2 import FeatureView as FeatureViewProto
from feast.types import Float64
from feast.value_type import ValueType
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from headrace.core.clock import DAY, HOUR, MINUTE
from headrace.store.feast_registry import agrees
from headrace.store.materialise import materialise
from headrace.store.online import OnlineStore
from headrace.store.publish import publish
from headrace.store.published import read_published
from headrace.store.repo import open_store, with_sound_registry
from headrace.store.training import training_features
from tests.store.world import START, World, features, make_world, set_clock

CLOCK = START + 12 * DAY + 7 * MINUTE
KEY = {"boat": "anna", "berth": 2**40}
#: Where the registry has what Feast reads: (table, column).
VALUES = (
    ("entities", "entity_proto"),
    ("feature_views", "feature_view_proto"),
    ("feature_services", "feature_service_proto"),
    ("data_sources", "data_source_proto"),
)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything published, the online store at an earlier tick than the clock. Read only."""
    world = make_world(tmp_path_factory.mktemp("registry"))
    set_clock(world, CLOCK)
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, CLOCK)
    set_clock(world, CLOCK + HOUR)
    return world


@pytest.fixture(scope="module")
def expected(before: World) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return served(copied(before, folder))


def copied(world: World, folder: str) -> World:
    root = Path(folder) / "home"
    shutil.copytree(world.root, root)
    return replace(world, root=root)


def served(world: World) -> Any:
    """What training retrieves, and what is served once the store is at the clock."""
    spine = pa.table({**{name: [value] for name, value in KEY.items()}, "cutoff": [CLOCK]})
    trained = training_features(world.root, world.problem, "all", spine).to_pylist()
    materialise(world.root, world.problem, CLOCK + HOUR)
    return trained, OnlineStore(world.root, world.problem).read("all", [KEY], CLOCK + HOUR)


def change(world: World, table: str, column: str, changed: Callable[[bytes], bytes]) -> int:
    """Change each value of a column; return how many differ."""
    with closing(sqlite3.connect(world.root / "store" / "registry.db")) as connection, connection:
        rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
        assert rows
        for rowid, value in rows:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed(value), rowid))
    return sum(changed(value) != value for _, value in rows)


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(VALUES), st.integers(0, 2**20), st.integers(0, 7))
def test_a_flipped_bit_of_a_value_changes_no_feature(
    before: World, expected: Any, place: tuple[str, str], byte: int, bit: int
) -> None:
    def flipped(value: bytes) -> bytes:
        content = bytearray(value)
        content[byte % len(content)] ^= 1 << bit
        return bytes(content)

    with tempfile.TemporaryDirectory() as folder:
        world = copied(before, folder)
        change(world, *place, flipped)
        assert served(world) == expected


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**30), st.integers(0, 7))
def test_a_flipped_bit_anywhere_changes_no_feature(before: World, expected: Any, byte: int, bit: int) -> None:
    """Also in an index, in the name that a row is found by, in Feast's own records."""
    with tempfile.TemporaryDirectory() as folder:
        world = copied(before, folder)
        path = world.root / "store" / "registry.db"
        content = bytearray(path.read_bytes())
        used = [at for at, value in enumerate(content) if value]
        content[used[byte % len(used)]] ^= 1 << bit
        path.write_bytes(content)
        assert served(world) == expected


def test_what_people_registered_stays_where_feast_can_read_the_registry(before: World, tmp_path: Path) -> None:
    world = copied(before, str(tmp_path))
    open_store(world.root).apply(Entity(name="own", join_keys=["own"], value_type=ValueType.STRING))
    published = read_published(world.root, world.problem.name)
    name = published.views[0].definitions[0].slug.encode()
    assert change(world, *VALUES[1], lambda value: value.replace(name, name[:-1] + b"z"))
    store = open_store(world.root)
    assert agrees(store, published)
    assert "own" in {entity.name for entity in store.list_entities()}


def test_a_full_disk_is_no_reason_to_make_the_registry_again(before: World, tmp_path: Path) -> None:
    world, calls = copied(before, str(tmp_path)), []
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def work(store: FeatureStore) -> None:
        calls.append(store)
        raise OperationalError("INSERT", {}, full)

    with pytest.raises(OperationalError, match="disk is full"):
        with_sound_registry(world.root, work)
    assert len(calls) == 1
    assert not list((world.root / "store").glob("*.damaged"))


def test_an_error_from_elsewhere_is_no_reason_to_make_the_registry_again(before: World, tmp_path: Path) -> None:
    """As where the online store that the user chose cannot be reached."""
    world, calls = copied(before, str(tmp_path)), []
    open_store(world.root).apply(Entity(name="own", join_keys=["own"], value_type=ValueType.STRING))

    def work(store: FeatureStore) -> None:
        calls.append(store)
        raise RuntimeError("no Redis")

    with pytest.raises(RuntimeError, match="no Redis"):
        with_sound_registry(world.root, work)
    assert len(calls) == 1
    assert "own" in {entity.name for entity in open_store(world.root).list_entities()}
    assert not list((world.root / "store").glob("*.damaged"))


def test_a_wrong_setting_of_a_store_is_no_reason_to_make_the_registry_again(before: World, tmp_path: Path) -> None:
    world = copied(before, str(tmp_path))
    (world.root / "feature_store.yaml").write_text("online_store:\n  type: reddis\n")
    with pytest.raises(Exception, match="reddis"):
        with_sound_registry(world.root, lambda store: None)
    assert not list((world.root / "store").glob("*.damaged"))


def test_objects_of_people_whose_classes_are_not_here_are_left_alone(before: World, tmp_path: Path) -> None:
    world = copied(before, str(tmp_path))
    store = open_store(world.root)
    file = FileSource(name="own", path=str(tmp_path / "own.parquet"), timestamp_field="at")
    view = FeatureView(name="own", entities=[], schema=[Field(name="x", dtype=Float64)], source=file)
    store.apply([file, view], skip_feature_view_validation=True)
    assert change(world, "feature_views", "feature_view_proto", _with_an_unknown_class)
    store = open_store(world.root)
    assert not list((world.root / "store").glob("*.damaged"))
    assert agrees(store, read_published(world.root, world.problem.name))


def _with_an_unknown_class(content: bytes) -> bytes:
    view = FeatureViewProto.FromString(content)
    if view.spec.name == "own":
        view.spec.batch_source.type = DataSourceProto.SourceType.CUSTOM_SOURCE
        view.spec.batch_source.data_source_class_type = "nowhere.to.be.Found"
    return view.SerializeToString()


def test_a_registry_that_sqlite_takes_as_read_only_is_made_again(before: World, expected: Any, tmp_path: Path) -> None:
    """A bit that flipped in the header: Feast can read the file, and no write to it succeeds."""
    world = copied(before, str(tmp_path))
    path = world.root / "store" / "registry.db"
    content = bytearray(path.read_bytes())
    content[18] ^= 4
    path.write_bytes(content)
    publish(world.root, world.problem, features(), "all")
    assert served(world) == expected


@pytest.mark.parametrize("place", VALUES[1:3], ids=str)
def test_another_name_of_a_feature_is_found(
    before: World, expected: Any, tmp_path: Path, place: tuple[str, str]
) -> None:
    """Feast reads it: the view then lacks what the service asks for, or the other way round."""
    world = copied(before, str(tmp_path))
    published = read_published(world.root, world.problem.name)
    name = published.views[0].definitions[0].slug.encode()
    assert change(world, *place, lambda value: value.replace(name, name[:-1] + b"z"))
    store = open_store(world.root)
    assert agrees(store, published)
    assert served(world) == expected
