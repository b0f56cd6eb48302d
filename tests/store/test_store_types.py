"""Feast's contract of an online store, on views that Headrace did not synthesise: all types, keys and orders."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from feast import Entity, FeatureView, Field, FileSource, RepoConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.types import (
    Array,
    Bool,
    Bytes,
    Float32,
    Float64,
    Int32,
    Int64,
    Invalid,
    Json,
    Map,
    Set,
    String,
    UnixTimestamp,
    Uuid,
)
from feast.value_type import ValueType

from headrace.core.errors import HeadraceError
from headrace.store.embedded import HeadraceOnlineStore

NOW = datetime(2024, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)
VALUES: dict[Any, list[Any]] = {
    Int32: [1, -(2**31), 0],
    Int64: [2**62, -1],
    Float32: [0.1, -0.0],
    Float64: [0.1, -0.0, math.inf, -math.inf],
    Bool: [True, False],
    String: ["", "a\0b", "Zürich \U0001f980"],
    Bytes: [b"", b"\x00\xff"],
    UnixTimestamp: [NOW.replace(microsecond=0)],
    Array(Int32): [[1, 2], []],
    Array(Int64): [[2**62]],
    Array(Float32): [[0.5, -0.0]],
    Array(Float64): [[0.1]],
    Array(Bool): [[True, False]],
    Array(String): [["a", ""]],
    Array(Bytes): [[b"\x00"]],
    Array(UnixTimestamp): [[NOW.replace(microsecond=0)]],
    Set(String): [{"a", "b"}],
    Map: [{"a": "b"}],
    Json: ['{"a": 1}'],
    Uuid: ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
}


def config(folder: Path, project: str = "p") -> RepoConfig:
    online = {"type": "headrace.store.embedded.HeadraceOnlineStore", "path": str(folder / "online.db")}
    return RepoConfig(
        project=project,
        provider="local",
        registry=str(folder / "registry.db"),
        online_store=online,
        entity_key_serialization_version=3,
    )


def view(dtypes: dict[str, Any], name: str = "v", keys: Sequence[str] = ("id",)) -> FeatureView:
    return FeatureView(
        name=name,
        entities=[Entity(name=key, join_keys=[key], value_type=ValueType.INT64) for key in keys],
        schema=[*(Field(name=key, dtype=Int64) for key in keys), *(Field(name=n, dtype=t) for n, t in dtypes.items())],
        source=FileSource(path="nowhere.parquet", timestamp_field="event_timestamp"),
        ttl=timedelta(0),
    )


def key(**values: int) -> EntityKey:
    return EntityKey(join_keys=list(values), entity_values=[Value(int64_val=value) for value in values.values()])


def write(store: HeadraceOnlineStore, at: RepoConfig, table: FeatureView, entity: EntityKey, **values: Value) -> None:
    store.online_write_batch(at, table, [(entity, values, NOW, None)], None)


def read_one(store: HeadraceOnlineStore, at: RepoConfig, table: FeatureView, entity: EntityKey) -> dict[str, Value]:
    [(_, values)] = store.online_read(at, table, [entity])
    assert values is not None
    return values


@pytest.fixture
def store() -> HeadraceOnlineStore:
    return HeadraceOnlineStore()


@pytest.mark.parametrize("dtype", VALUES, ids=str)
def test_every_type_comes_back_the_same(tmp_path: Path, store: HeadraceOnlineStore, dtype: Any) -> None:
    """To the bit and with its type, as does the absence of a value."""
    at, table = config(tmp_path), view({"x": dtype})
    store.update(at, [], [table], [], [], partial=False)
    written = [*python_values_to_proto_values(VALUES[dtype], dtype.to_value_type()), Value(), Value(null_val=0)]
    rows = [(key(id=at), {"x": value}, NOW, NOW) for at, value in enumerate(written)]
    store.online_write_batch(at, table, rows, None)
    read = store.online_read(at, table, [row[0] for row in rows], ["x"])
    assert [values and values["x"].SerializeToString() for _, values in read] == [
        value.SerializeToString() for value in written
    ]


def test_a_nan_and_a_value_of_another_type_are_not_changed(tmp_path: Path, store: HeadraceOnlineStore) -> None:
    at, table = config(tmp_path), view({"x": Float64})
    for wanted in (Value(double_val=math.nan), Value(int64_val=7), Value(string_val="7")):
        write(store, at, table, key(id=1), x=wanted)
        assert read_one(store, at, table, key(id=1))["x"].SerializeToString() == wanted.SerializeToString()


def test_rows_come_in_the_order_of_the_keys_asked_for(tmp_path: Path, store: HeadraceOnlineStore) -> None:
    """With keys twice, keys that nothing came of, and the time of each row; a time without a zone is UTC."""
    at, table = config(tmp_path), view({"x": Int64, "y": Int64})
    later = NOW + timedelta(hours=1)
    rows = [
        (key(id=1), {"x": Value(int64_val=1), "y": Value(int64_val=10)}, NOW, None),
        (key(id=2), {"x": Value(int64_val=2), "y": Value(int64_val=20)}, later.replace(tzinfo=None), None),
    ]
    counted: list[int] = []
    store.online_write_batch(at, table, rows, counted.append)
    assert sum(counted) == 2
    read = store.online_read(at, table, [key(id=2), key(id=9), key(id=1), key(id=2)], ["y"])
    one, two = (NOW, {"y": Value(int64_val=10)}), (later, {"y": Value(int64_val=20)})
    assert read == [two, (None, None), one, two]
    assert list(read_one(store, at, table, key(id=1))) == ["x", "y"]


def test_a_later_write_replaces_what_it_carries(tmp_path: Path, store: HeadraceOnlineStore) -> None:
    at, table = config(tmp_path), view({"x": Int64, "y": Int64})
    write(store, at, table, key(id=1), x=Value(int64_val=1), y=Value(int64_val=2))
    write(store, at, table, key(id=1), x=Value(int64_val=3))
    assert read_one(store, at, table, key(id=1)) == {"x": Value(int64_val=3), "y": Value(int64_val=2)}


def test_keys_of_several_entities_in_any_order_and_none(tmp_path: Path, store: HeadraceOnlineStore) -> None:
    at = config(tmp_path)
    pair, alone = view({"x": Int64}, "pair", ("a", "b")), view({"x": Int64}, "alone", ())
    write(store, at, pair, key(a=1, b=2), x=Value(int64_val=12))
    [(_, found), (_, other)] = store.online_read(at, pair, [key(b=2, a=1), key(a=2, b=1)])
    assert (found, other) == ({"x": Value(int64_val=12)}, None)
    dummy = EntityKey(join_keys=["__dummy_id"], entity_values=[Value(string_val="")])
    write(store, at, alone, dummy, x=Value(int64_val=5))
    assert read_one(store, at, alone, dummy)["x"].int64_val == 5


def test_a_key_without_a_value_is_refused_or_absent(tmp_path: Path, store: HeadraceOnlineStore) -> None:
    at, table = config(tmp_path), view({"x": Int64})
    store.update(at, [], [table], [], [], partial=False)
    nobody = EntityKey(join_keys=["id"], entity_values=[Value()])
    with pytest.raises(HeadraceError, match="a row without an entity cannot be written"):
        write(store, at, table, nobody, x=Value(int64_val=1))
    assert store.online_read(at, table, [nobody]) == [(None, None)]


def test_views_come_grow_and_go(tmp_path: Path, store: HeadraceOnlineStore) -> None:
    """As `feast apply` brings them; what is kept keeps its rows, and a new feature has no value yet."""
    at, one, other = config(tmp_path), view({"x": Int64}, "one"), view({"x": Int64}, "other")
    store.update(at, [], [one, other], [], [], partial=False)
    for table in (one, other):
        write(store, at, table, key(id=1), x=Value(int64_val=1))
    grown = view({"x": Int64, "y": Array(String)}, "one")
    store.update(at, [other], [grown], [], [], partial=True)
    assert read_one(store, at, grown, key(id=1)) == {"x": Value(int64_val=1), "y": Value()}
    assert store.online_read(at, other, [key(id=1)]) == [(None, None)]
    store.teardown(at, [grown], [])
    assert store.online_read(at, grown, [key(id=1)]) == [(None, None)]
    assert store.plan(at, None) == []  # type: ignore[arg-type]


def test_projects_do_not_touch_each_other(tmp_path: Path, store: HeadraceOnlineStore) -> None:
    table = view({"x": Int64})
    write(store, config(tmp_path, "one"), table, key(id=1), x=Value(int64_val=1))
    write(store, config(tmp_path, "two"), table, key(id=1), x=Value(int64_val=2))
    store.teardown(config(tmp_path, "two"), [table], [])
    assert read_one(store, config(tmp_path, "one"), table, key(id=1))["x"].int64_val == 1


def test_asynchronous_calls_are_the_same(tmp_path: Path, store: HeadraceOnlineStore) -> None:
    at, table = config(tmp_path), view({"x": Int64})

    async def both() -> Any:
        await store.online_write_batch_async(at, table, [(key(id=1), {"x": Value(int64_val=1)}, NOW, None)], None)
        return await store.online_read_async(at, table, [key(id=1)])

    assert store.async_supported.read
    assert asyncio.run(both()) == store.online_read(at, table, [key(id=1)])


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"x": Int64, "X": Int64}, "duplicate column name"),
        ({f"x{at}": Int64 for at in range(2_100)}, "too many columns"),
        ({"x": Invalid}, "a feature without a type"),
    ],
    ids=["case", "columns", "invalid"],
)
def test_what_cannot_be_held_is_refused_when_it_is_applied(
    tmp_path: Path, store: HeadraceOnlineStore, features: dict[str, Any], message: str
) -> None:
    with pytest.raises(HeadraceError, match=message):
        store.update(config(tmp_path), [], [view(features)], [], [], partial=False)
