"""Materialisation and what serving reads: no skew, no mixture, no going back, nothing lost to a kill."""

from __future__ import annotations

import struct
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.core.clock import DAY, HOUR, MINUTE
from headrace.core.errors import DataError, NotFoundError
from headrace.lake.store import Lake
from headrace.store import history
from headrace.store.materialise import materialise, online_is_empty, watermarks
from headrace.store.online import OnlineStore
from headrace.store.online_file.rows import RowStore
from headrace.store.publish import publish
from headrace.store.published import read_published
from headrace.store.repo import open_store
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import stored
from tests.store.world import BOATS, START, World, aggregates, features, set_clock, stored_features

TICK = START + 12 * DAY
REQUESTS = [
    {"boat": boat, "berth": berth}
    for boat in (*BOATS, "unheard of", None)
    for berth in (2**40, 2**41, 3 * 2**40, 77, None)
]


def bits(value: object) -> object:
    return struct.pack("d", value) if isinstance(value, float) else value


def direct(world: World, tick_us: int) -> list[dict[str, object]]:
    """The engine's own values for REQUESTS at a tick."""
    definitions = stored(features())
    types = {"boat": pa.string(), "berth": pa.int64()}
    columns = {name: pa.array([request[name] for request in REQUESTS], kind) for name, kind in types.items()}
    keys = pa.table({**columns, "tick": pa.array([tick_us] * len(REQUESTS), pa.int64())})
    values = LocalEngine().compute(world.problem, definitions, keys, world.snapshot)
    return [
        {item.slug: bits(history.stored_values(values[item.slug], item)[at].as_py()) for item in definitions}
        for at in range(len(REQUESTS))
    ]


@pytest.fixture
def ready(world: World) -> World:
    """All features published and materialised at TICK."""
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, TICK)
    return world


@pytest.mark.parametrize("tick_us", [START, START + DAY + 7 * HOUR, TICK, START + 40 * DAY])
def test_online_values_are_the_engines_at_the_tick(world: World, tick_us: int) -> None:
    """Bit for bit, for keys that are known, unknown, not yet known, and absent."""
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, tick_us + 5 * MINUTE)
    found = OnlineStore(world.root, world.problem).read("all", REQUESTS, tick_us)
    assert [{slug: bits(value) for slug, value in row.values.items()} for row in found] == direct(world, tick_us)


def test_feast_reads_the_same(ready: World) -> None:
    requests = [r for r in REQUESTS if r["boat"] in BOATS and isinstance(r["berth"], int)]
    store = open_store(ready.root)
    answer = store.get_online_features(store.get_feature_service("harbour__all"), requests).to_dict()
    found = OnlineStore(ready.root, ready.problem).read("all", requests, TICK)
    for at, row in enumerate(found):
        for item in stored(features()):
            if row.ages[f"harbour__{item.entity}"].status != "MISSING":
                assert bits(answer[item.slug][at]) == bits(row.values[item.slug]), item.name
            else:
                assert answer[item.slug][at] is None


def test_age_and_status(ready: World) -> None:
    online = OnlineStore(ready.root, ready.problem)
    key = {"boat": "anna", "berth": 77}
    [row] = online.read("all", [key], TICK + 2 * HOUR - 1)
    assert row.ages["harbour__boat"].status == "FRESH"
    assert (row.ages["harbour__boat"].tick_us, row.ages["harbour__boat"].age_us) == (TICK, 2 * HOUR - 1)
    assert row.ages["harbour__berth"].status == "MISSING"
    [row] = online.read("all", [key], TICK + 2 * HOUR)
    assert row.ages["harbour__boat"].status == "STALE"
    assert {name: age.status for name, age in online.ages("all", TICK + 2 * HOUR).items()} == {
        "harbour__boat": "STALE",
        "harbour__berth": "STALE",
        "harbour__boat_berth": "STALE",
    }
    assert (
        OnlineStore(ready.root, ready.problem, stale_after_ticks=3).ages("all", TICK + 2 * HOUR)["harbour__boat"].status
        == "FRESH"
    )


def test_a_key_is_there_from_the_tick_after_it_was_first_known(world: World) -> None:
    """A berth that was first used later is not there yet; a boat is, from the register of boats."""
    publish(world.root, world.problem, features(), "all")
    assert materialise(world.root, world.problem, START) == {
        "harbour__boat": len(BOATS),
        "harbour__berth": 0,
        "harbour__boat_berth": 0,
    }
    [row] = OnlineStore(world.root, world.problem).read("all", [{"boat": "anna", "berth": 2**40}], START)
    assert {name: age.status for name, age in row.ages.items()} == {
        "harbour__boat": "FRESH",
        "harbour__berth": "MISSING",
        "harbour__boat_berth": "MISSING",
    }
    assert (row.values["berth_count_stays_7d_by_berth"], row.values["berth_mean_stays_fee_7d_by_berth"]) == (0.0, None)


def test_before_any_refresh_all_is_missing(world: World) -> None:
    publish(world.root, world.problem, features(), "all")
    online = OnlineStore(world.root, world.problem)
    [row] = online.read("all", [{"boat": "anna", "berth": 2**40}], TICK)
    assert set(row.values.values()) == {None}
    assert {(age.status, age.tick_us) for age in row.ages.values()} == {("MISSING", None)}
    assert online_is_empty(world.root, world.problem)


def test_a_new_service_is_seen_by_an_open_reader(ready: World) -> None:
    """And until it is materialised it is MISSING, while the old one goes on."""
    online, key = OnlineStore(ready.root, ready.problem), {"boat": "anna", "berth": 2**40}
    [before] = online.read("all", [key], TICK)
    with pytest.raises(NotFoundError, match="no feature service 'more'"):
        online.read("more", [key], TICK)
    more = tuple(item.__class__(**{**vars(item), "lookback_us": 3 * DAY}) for item in aggregates("boat", ("boat",)))
    publish(ready.root, ready.problem, more, "more")
    [row] = online.read("more", [key], TICK)
    assert row.ages["harbour__boat"].status == "MISSING"
    assert online.read("all", [key], TICK) == [before]
    assert online_is_empty(ready.root, ready.problem)
    materialise(ready.root, ready.problem, TICK)
    [row] = online.read("more", [key], TICK)
    assert row.ages["harbour__boat"].status == "FRESH"
    assert row.values["boat_count_stays_3d_by_boat"] is not None
    assert online.read("all", [key], TICK) == [before]


def test_never_past_the_clock_and_never_back(ready: World) -> None:
    set_clock(ready, TICK + 90 * MINUTE)
    materialise(ready.root, ready.problem, TICK + 30 * DAY)
    assert {mark.tick_us for mark in watermarks(ready.root, ready.problem).values()} == {TICK + HOUR}
    materialise(ready.root, ready.problem, START)
    assert {mark.tick_us for mark in watermarks(ready.root, ready.problem).values()} == {TICK + HOUR}


def test_a_watermark_in_the_future_blocks_nothing(world: World) -> None:
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, START + 300 * DAY)
    set_clock(world, TICK)
    materialise(world.root, world.problem, TICK)
    assert {mark.tick_us for mark in watermarks(world.root, world.problem).values()} == {TICK}


def test_a_kill_between_views_is_finished_by_the_next_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(world.root, world.problem, features(), "all")
    written: list[str] = []
    replace = RowStore.replace

    def killed(self: RowStore, mark: object, *rest: object) -> int:
        if written:
            raise KeyboardInterrupt
        written.append(mark.view)  # type: ignore[attr-defined]
        return replace(self, mark, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(RowStore, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            materialise(world.root, world.problem, TICK)
    assert set(watermarks(world.root, world.problem)) == set(written)
    assert online_is_empty(world.root, world.problem)
    rows = materialise(world.root, world.problem, TICK)
    assert not online_is_empty(world.root, world.problem)
    assert rows["harbour__boat"] == len(BOATS)
    found = OnlineStore(world.root, world.problem).read("all", REQUESTS, TICK)
    assert [{slug: bits(value) for slug, value in row.values.items()} for row in found] == direct(world, TICK)


@pytest.mark.parametrize("how", ["deleted", "emptied", "rows gone"])
def test_an_emptied_online_file_is_found_and_mended(ready: World, how: str) -> None:
    path = ready.root / "store" / "online.db"
    online, key = OnlineStore(ready.root, ready.problem), {"boat": "anna", "berth": 2**40}
    [before] = online.read("all", [key], TICK)
    assert not online_is_empty(ready.root, ready.problem)
    _damage(path, how)
    assert online_is_empty(ready.root, ready.problem)
    materialise(ready.root, ready.problem, TICK)
    assert not online_is_empty(ready.root, ready.problem)
    assert online.read("all", [key], TICK) == [before]


def _damage(path: Path, how: str) -> None:
    import sqlite3

    if how == "rows gone":
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM harbour__berth")
        connection.close()
        return
    for other in path.parent.glob("online.db*"):
        other.unlink()
    if how == "emptied":
        path.touch()


def test_what_is_there_is_not_written_again(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise AssertionError("written again")

    with monkeypatch.context() as patch:
        patch.setattr(RowStore, "replace", refuse)
        assert materialise(ready.root, ready.problem, TICK)["harbour__boat"] == len(BOATS)
    table = ready.problem.entity_set.table("boats")
    late = pa.table({"boat": ["zora"], "length": [1.0], "flag": ["ch"]})
    Lake(ready.root, ready.problem.name).append(table, late, arrival_us=TICK - 1)
    assert materialise(ready.root, ready.problem, TICK)["harbour__boat"] == len(BOATS) + 1


def test_chunks_do_not_change_values(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEYS_PER_CHUNK", 2)
    assert materialise(ready.root, ready.problem, TICK + HOUR)["harbour__boat"] == len(BOATS)
    found = OnlineStore(ready.root, ready.problem).read("all", REQUESTS, TICK + HOUR)
    assert [{slug: bits(value) for slug, value in row.values.items()} for row in found] == direct(ready, TICK + HOUR)


def test_wrong_requests_are_named(ready: World) -> None:
    online = OnlineStore(ready.root, ready.problem)
    with pytest.raises(DataError, match=r"no join key 'berth'.*found: boat"):
        online.read("all", [{"boat": "anna"}], TICK)
    with pytest.raises(DataError, match="'berth' must be int64"):
        online.read("all", [{"boat": "anna", "berth": "1"}], TICK)
    with pytest.raises(DataError, match="'boat' must be string"):
        online.read("all", [{"boat": 5, "berth": 1}], TICK)


def test_feast_pushes_single_rows(ready: World) -> None:
    import pandas as pd

    columns = [item.slug for item in stored_features("berth")]
    row: dict[str, object] = dict.fromkeys(columns)
    row |= {"berth": 2**41, "event_timestamp": pd.Timestamp("2024-03-13T00:00:00Z"), columns[0]: 1.25}
    frame = pd.DataFrame([row]).astype({columns[0]: float})
    open_store(ready.root).write_to_online_store("harbour__berth", frame)
    [found] = OnlineStore(ready.root, ready.problem).read("all", [{"boat": None, "berth": 2**41}], TICK)
    assert found.values[columns[0]] == 1.25
    assert read_published(ready.root, "harbour").view("harbour__berth").slugs == tuple(columns)
