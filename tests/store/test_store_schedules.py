"""What training retrieves for a cutoff is what the online store held then, and what a backfill's rows say.

Events, late rows and corrections, refresh schedules and cutoffs are random. Each refresh computes from the lake as it
was then; training computes from the lake as it is at the end.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR, to_us
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.store.backfill import Backfill, backfill, plan
from headrace.store.history import compute_at, entity_rows
from headrace.store.materialise import online_rows
from headrace.store.online import OnlineStore
from headrace.store.online_file.tables import Watermark
from headrace.store.published import Published, layout, read_published, write_published
from headrace.synthesis.language.definitions import stored
from tests.store.world import BOATS, DECLARATION, START, World, features, stays

KEYS = [{"boat": boat, "berth": berth} for boat in (*BOATS[:4], "unknown", None) for berth in (2**40, 3 * 2**40)]


def empty_world(folder: Path) -> World:
    """The harbour's problem, published without Feast, and its boats; no stays yet."""
    (folder / "problem.py").write_text(DECLARATION.format(name="harbour"))
    boats = {"boat": list(BOATS), "length": [4.0, 9.0, 16.0, None, 25.0, 36.0], "flag": ["ch"] * 5 + [None]}
    pq.write_table(pa.table(boats), folder / "boats.parquet")
    pq.write_table(stays(1), folder / "stays.parquet")
    problem = load_problem(folder / "problem.py")
    world = World(root=folder / "home", problem=problem, path=folder / "problem.py")
    lake = Lake(world.root, "harbour")
    lake.append(problem.entity_set.table("boats"), pa.table(boats), arrival_us=START, bootstrap=True)
    base = Published(
        problem="harbour",
        reference=str(world.path),
        tick_us=problem.tick_us,
        key_types={"boat": "string", "berth": "int64"},
    )
    write_published(world.root, base.with_service(problem, "all", features()))
    return world


def refresh(world: World, tick_us: int) -> None:
    """Write every view at a tick, from the lake as it is now."""
    published = read_published(world.root, "harbour")
    for view in published.views:
        snapshot = world.snapshot
        mark = Watermark(view=view.name, tick_us=tick_us, rows=0, layout=layout(view), history=snapshot.fingerprint)
        rows = list(entity_rows(published, world.problem, view, view.slugs, snapshot, tick_us))
        online_rows(world.root).replace(mark, list(view.join_keys), list(view.slugs), rows)


def retrieved(world: World, tick_us: int) -> list[dict[str, Any]]:
    """What training computes for KEYS at a tick, from the lake as it is now."""
    types = {"boat": pa.string(), "berth": pa.int64()}
    keys = pa.table({name: pa.array([key[name] for key in KEYS], kind) for name, kind in types.items()})
    keys = keys.append_column("tick", pa.array([tick_us] * len(KEYS), pa.int64()))
    rows: list[dict[str, Any]] = [{} for _ in KEYS]
    for view in read_published(world.root, "harbour").views:
        values = compute_at(world.problem, view.definitions, view.join_keys, keys, world.snapshot)
        for row, more in zip(rows, values.to_pylist(), strict=True):
            row.update(more)
    return rows


def bits(row: dict[str, Any]) -> dict[str, Any]:
    return {name: struct.pack("d", value) if isinstance(value, float) else value for name, value in row.items()}


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[tuple[int, bool]]]:
    """A seed, and hours at which a batch arrives or the store is refreshed, in order."""
    hours = draw(st.lists(st.integers(1, 18 * 24), min_size=3, max_size=8, unique=True))
    return draw(st.integers(0, 10**6)), [(hour, draw(st.booleans())) for hour in sorted(hours)]


@settings(max_examples=8, deadline=None)
@given(history=histories(), first=st.integers(20, 120))
def test_training_retrieves_what_the_online_store_held(
    tmp_path_factory: pytest.TempPathFactory, history: tuple[int, list[tuple[int, bool]]], first: int
) -> None:
    seed, steps = history
    world, rng = empty_world(tmp_path_factory.mktemp("schedule")), np.random.default_rng(seed)
    lake, table = Lake(world.root, "harbour"), world.problem.spine_table
    everything = stays(240, seed)
    lake.append(table, everything.slice(0, first), arrival_us=START, bootstrap=True)
    held: list[tuple[int, list[dict[str, Any]]]] = []
    for hour, is_batch in steps:
        now = START + hour * HOUR
        if is_batch:  # new, late and corrected rows in any order, with values of their own
            size = int(rng.integers(1, 30))
            chosen = pa.array(np.sort(rng.choice(everything.num_rows, size, replace=False)))
            fees = pa.array(np.round(rng.normal(50, 30, size), 2))
            batch = everything.take(chosen).set_column(6, "fee", fees)
            lake.append(table, batch, arrival_us=now - int(rng.integers(0, 60)))
        else:
            refresh(world, now)
            rows = OnlineStore(world.root, world.problem).read("all", KEYS, now)
            held.append((now, [dict(row.values) for row in rows]))
    for tick_us, rows_then in held:
        assert [bits(row) for row in rows_then] == [bits(row) for row in retrieved(world, tick_us)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The harbour's stays, with two later batches and the clock at day 20."""
    world = empty_world(tmp_path_factory.mktemp("backfill"))
    lake, table, everything = Lake(world.root, "harbour"), world.problem.spine_table, stays(200)
    lake.append(table, everything.slice(0, 120), arrival_us=START, bootstrap=True)
    lake.append(table, everything.slice(100, 100), arrival_us=START + 12 * DAY)
    lake.advance_clock(START + 20 * DAY + HOUR // 2)
    return world


def test_a_backfill_joined_by_time_is_what_training_retrieves(loaded: World, tmp_path: Path) -> None:
    what = plan(loaded.root, loaded.problem, from_us=START + 2 * DAY, until_us=None, every_us=6 * HOUR)
    report = backfill(loaded.root, loaded.problem, what, tmp_path)
    assert report.until == "2024-03-21T00:00:00Z"  # no instant is later than the clock
    assert report.written == 3 * 3
    views = read_published(loaded.root, "harbour").views
    slugs = {item.slug for item in stored(features())}
    for tick_us in (START + 2 * DAY, START + 11 * DAY, START + 12 * DAY + 6 * HOUR, START + 20 * DAY):
        expected = retrieved(loaded, tick_us)
        for view in views:
            rows = pq.read_table(tmp_path / view.name).to_pylist()
            for key, row in zip(KEYS, expected, strict=True):
                mine = [one for one in rows if all(one[name] == key[name] for name in view.join_keys)]
                past = [one for one in mine if to_us(one["event_timestamp"]) <= tick_us]
                if past:
                    last = max(past, key=lambda one: one["event_timestamp"])
                    assert bits({name: last[name] for name in view.slugs}) == bits(
                        {name: row[name] for name in view.slugs}
                    )
    assert slugs >= {name for view in views for name in view.slugs}


def test_only_changes_are_written(loaded: World, tmp_path: Path) -> None:
    what = plan(loaded.root, loaded.problem, from_us=START + 2 * DAY, until_us=None, every_us=6 * HOUR)
    report = backfill(loaded.root, loaded.problem, what, tmp_path)
    rows = pq.read_table(tmp_path / "harbour__boat")
    assert report.rows["harbour__boat"] == rows.num_rows < len(BOATS) * 73
    seen: dict[str, dict[str, Any]] = {}
    for row in rows.sort_by("event_timestamp").to_pylist():
        values = {name: value for name, value in row.items() if name != "event_timestamp"}
        assert seen.get(row["boat"]) != values
        seen[row["boat"]] = values


def test_a_killed_backfill_continues_and_a_whole_one_does_nothing(
    loaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = plan(loaded.root, loaded.problem, from_us=START, until_us=START + 18 * DAY, every_us=6 * HOUR)
    lines: list[str] = []

    def die(text: str) -> None:
        lines.append(text)
        if len(lines) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill(loaded.root, loaded.problem, what, tmp_path / "a", progress=die)
    report = backfill(loaded.root, loaded.problem, what, tmp_path / "a")
    assert (report.kept, report.written) == (4, 5)
    backfill(loaded.root, loaded.problem, what, tmp_path / "b")
    for view in report.rows:
        assert pq.read_table(tmp_path / "a" / view).equals(pq.read_table(tmp_path / "b" / view))
    again = backfill(loaded.root, loaded.problem, what, tmp_path / "a")
    assert (again.kept, again.written, again.computed) == (9, 0, 0)
    (tmp_path / "a" / "harbour__boat" / "_checkpoint.json").write_text("{")
    assert backfill(loaded.root, loaded.problem, what, tmp_path / "a").written == 3


def test_a_later_batch_leaves_earlier_chunks(tmp_path: Path) -> None:
    world = empty_world(tmp_path)
    lake, table = Lake(world.root, "harbour"), world.problem.spine_table
    lake.append(table, stays(100), arrival_us=START, bootstrap=True)
    lake.advance_clock(START + 20 * DAY)
    what = plan(world.root, world.problem, from_us=START, until_us=START + 15 * DAY, every_us=6 * HOUR)
    assert backfill(world.root, world.problem, what, tmp_path / "out").written == 2 * 3
    lake.append(table, stays(20, seed=3), arrival_us=START + 10 * DAY)
    report = backfill(world.root, world.problem, what, tmp_path / "out")
    assert (report.kept, report.written) == (3, 3)


@pytest.mark.parametrize("size", [1, 100])
def test_the_size_of_parts_changes_nothing(
    loaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    what = Backfill(from_us=START + 5 * DAY, until_us=START + 8 * DAY, every_us=12 * HOUR)
    backfill(loaded.root, loaded.problem, what, tmp_path / "whole")
    monkeypatch.setattr("headrace.store.backfill.PAIRS", size)
    backfill(loaded.root, loaded.problem, what, tmp_path / "parts")
    for view in ("harbour__boat", "harbour__boat_berth"):
        assert pq.read_table(tmp_path / "parts" / view).equals(pq.read_table(tmp_path / "whole" / view))


def test_periods_that_cannot_be_are_refused(loaded: World, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="the production clock is at 2024-03-21T00:30:00Z"):
        plan(loaded.root, loaded.problem, from_us=START + 30 * DAY, until_us=None, every_us=None)
    with pytest.raises(DeclarationError, match="no multiple of the problem's tick"):
        plan(loaded.root, loaded.problem, from_us=START, until_us=None, every_us=HOUR // 2)
    with pytest.raises(NotFoundError, match="nothing was loaded yet"):
        plan(tmp_path, loaded.problem, from_us=START, until_us=None, every_us=None)
