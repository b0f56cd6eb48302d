"""A store beyond the production clock: refused to Feast's own commands, never served, brought back, and said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from headrace.core.clock import DAY, HOUR, MINUTE, from_us
from headrace.core.errors import HeadraceError, NotFoundError, UnavailableError
from headrace.core.replicas import replica_path
from headrace.store.materialise import materialise, online_is_current, views_ahead_note, watermarks
from headrace.store.online import OnlineStore
from headrace.store.online_file.tables import Watermark
from headrace.store.publish import publish
from headrace.store.repo import open_store
from tests.store.world import START, World, features, set_clock, stored_features

CLOCK = START + 12 * DAY + 7 * MINUTE
TICK = START + 12 * DAY
TODAY = START + 300 * DAY
KEY = {"boat": "anna", "berth": 2**40}
BEYOND = r"harbour: .* is beyond the production clock, which is at 2024-03-13T00:07:00Z\. run `headrace run harbour`"


@pytest.fixture
def ready(world: World) -> World:
    """Everything published, the clock at CLOCK, the online store at TICK."""
    set_clock(world, CLOCK)
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, CLOCK)
    return world


def ticks(world: World) -> set[int]:
    return {mark.tick_us for mark in watermarks(world.root, world.problem).values()}


def ends(world: World) -> set[datetime]:
    views = open_store(world.root).list_feature_views()
    return {end for view in views for _, end in view.materialization_intervals}


def poison(world: World) -> None:
    """What Feast's commands could do before the store refused them: rows, watermarks and intervals of a later day."""
    set_clock(world, TODAY)
    open_store(world.root).materialize_incremental(from_us(TODAY))
    set_clock(world, CLOCK)
    assert ticks(world) == {TODAY}


def test_feast_cannot_materialise_beyond_the_clock(ready: World) -> None:
    store = open_store(ready.root)
    before = ends(ready)
    with pytest.raises(HeadraceError, match=BEYOND):
        store.materialize_incremental(from_us(TODAY))
    with pytest.raises(HeadraceError, match=BEYOND):
        store.materialize(from_us(START), from_us(TODAY))
    assert (ticks(ready), ends(ready)) == ({TICK}, before)
    assert {view.state.name for view in store.list_feature_views()} == {"AVAILABLE_ONLINE"}
    set_clock(ready, CLOCK + HOUR)
    store.materialize_incremental(from_us(CLOCK + HOUR))
    assert ticks(ready) == {TICK + HOUR}


def test_the_tick_that_holds_the_clock_is_allowed(ready: World) -> None:
    """An end in the clock's own tick is that tick: nothing beyond the clock is written."""
    open_store(ready.root).materialize_incremental(from_us(TICK + HOUR - 1))
    assert ticks(ready) == {TICK}
    with pytest.raises(HeadraceError, match=BEYOND):
        open_store(ready.root).materialize_incremental(from_us(TICK + HOUR))


def test_without_a_clock_nothing_is_materialised(ready: World) -> None:
    clock = ready.root / "lake" / "harbour" / "clock.json"
    for file in (clock, replica_path(clock)):
        file.unlink()
    with pytest.raises(HeadraceError, match=r"no production clock, for nothing was loaded yet\. run `headrace run"):
        open_store(ready.root).materialize_incremental(from_us(TODAY))
    with pytest.raises(NotFoundError, match="nothing was loaded yet"):
        materialise(ready.root, ready.problem, CLOCK)
    assert ticks(ready) == {TICK}


def test_the_offline_store_pulls_nothing_from_beyond_the_clock(ready: World) -> None:
    """Another online store (Redis) is filled through this call."""
    from headrace.store.offline import HeadraceOfflineStore

    store = open_store(ready.root)
    view = store.get_feature_view("harbour__boat")

    def pull(end_us: int) -> int:
        slugs = [field.name for field in view.features]
        job = HeadraceOfflineStore.pull_latest_from_table_or_query(
            store.config, view.batch_source, ["boat"], slugs, "event_timestamp", None, from_us(START), from_us(end_us)
        )
        return int(job.to_arrow().num_rows)

    assert pull(CLOCK) > 0
    with pytest.raises(HeadraceError, match=BEYOND):
        pull(TODAY)


def test_rows_from_beyond_the_clock_cannot_be_pushed(ready: World) -> None:
    slugs = [item.slug for item in stored_features("berth")]
    row: dict[str, object] = dict.fromkeys(slugs)
    frame = pd.DataFrame([row | {"berth": 2**41, "event_timestamp": pd.Timestamp(from_us(TODAY)), slugs[0]: 1.5}])
    with pytest.raises(HeadraceError, match=BEYOND):
        open_store(ready.root).write_to_online_store("harbour__berth", frame)
    frame["event_timestamp"] = pd.Timestamp(from_us(CLOCK))
    open_store(ready.root).write_to_online_store("harbour__berth", frame)


def test_the_command_shows_one_line(ready: World, feast: Callable[..., str]) -> None:
    before = ends(ready)
    output = feast("materialize-incremental", "2026-11-28T00:00:00", exits=1)
    (error,) = [line for line in output.splitlines() if "beyond" in line]
    assert error.startswith("Error: harbour: 2026-11-28T00:00:00Z is beyond the production clock")
    assert error.endswith("`feast materialize-incremental 2024-03-13T00:07:00`.")
    assert "Traceback" not in output
    assert (ticks(ready), ends(ready)) == ({TICK}, before)
    assert "beyond" in feast("materialize", "--disable-event-timestamp", exits=1)
    feast("materialize-incremental", "2024-03-13T00:07:00")
    assert ticks(ready) == {TICK}


def test_what_is_ahead_is_never_served(ready: World) -> None:
    poison(ready)
    online = OnlineStore(ready.root, ready.problem)
    with pytest.raises(
        UnavailableError, match=r"ahead of the production clock.*harbour__boat at 2024-12-26.*run `headrace"
    ):
        online.read("all", [KEY], CLOCK)
    age = online.ages("all", CLOCK)["harbour__boat"]
    assert (age.status, age.age_us) == ("AHEAD", CLOCK - TODAY)


def test_what_is_ahead_is_found_and_brought_back(ready: World) -> None:
    """Rows, watermarks, and Feast's intervals: one end in the future would be the start of every later run."""
    [before] = OnlineStore(ready.root, ready.problem).read("all", [KEY], CLOCK)
    assert (views_ahead_note(ready.root, ready.problem), online_is_current(ready.root, ready.problem, CLOCK)) == (
        "",
        True,
    )
    poison(ready)
    assert not online_is_current(ready.root, ready.problem, CLOCK)
    note = views_ahead_note(ready.root, ready.problem)
    assert "harbour__boat at 2024-12-26T00:00:00Z" in note
    materialise(ready.root, ready.problem, CLOCK)
    assert ticks(ready) == {TICK}
    assert max(ends(ready)) <= from_us(CLOCK)
    assert OnlineStore(ready.root, ready.problem).read("all", [KEY], CLOCK) == [before]
    assert views_ahead_note(ready.root, ready.problem) == ""
    set_clock(ready, CLOCK + HOUR)
    open_store(ready.root).materialize_incremental(from_us(CLOCK + HOUR))
    starts = {
        start for view in open_store(ready.root).list_feature_views() for start, _ in view.materialization_intervals
    }
    assert max(starts) <= from_us(CLOCK + HOUR)
    assert ticks(ready) == {TICK + HOUR}


def test_intervals_that_are_all_beyond_the_clock_are_replaced(ready: World) -> None:
    store = open_store(ready.root)
    view = store.get_feature_view("harbour__boat")
    later = from_us(TODAY)
    view.materialization_intervals = [(later - timedelta(days=1), later), (later, from_us(TICK))]
    store.registry.apply_feature_view(view, store.project, commit=True)
    set_clock(ready, CLOCK + HOUR)
    materialise(ready.root, ready.problem, CLOCK + HOUR)
    view = open_store(ready.root).get_feature_view("harbour__boat")
    assert view.most_recent_end_time == from_us(TICK + HOUR)
    assert all(start <= end for start, end in view.materialization_intervals)


def test_a_history_that_grew_is_found(ready: World) -> None:
    """A batch that came late leaves the tick as it is, and the values not."""
    mark = watermarks(ready.root, ready.problem)["harbour__boat"]
    assert isinstance(mark, Watermark)
    import pyarrow as pa

    from headrace.lake.store import Lake

    late = pa.table({"boat": ["zora"], "length": [1.0], "flag": ["ch"]})
    Lake(ready.root, "harbour").append(ready.problem.entity_set.table("boats"), late, arrival_us=TICK - 1)
    assert not online_is_current(ready.root, ready.problem, CLOCK)
    materialise(ready.root, ready.problem, CLOCK)
    assert online_is_current(ready.root, ready.problem, CLOCK)


def test_feast_reads_the_home_that_is_set(
    tmp_path: Path, ready: World, feast: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = ready.root.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("HEADRACE_HOME", str(moved))
    for command in (["plan"], ["apply"], ["teardown"]):
        assert "elsewhere, Feast's yaml file names" in feast(*command, exits=1)
    assert "harbour__boat_berth" in feast("-f", "home.yaml", "feature-views", "list")
    feast("-f", "home.yaml", "apply")
    feast("-f", "home.yaml", "materialize-incremental", "2024-03-13T00:07:00")
    assert {mark.tick_us for mark in watermarks(moved, ready.problem).values()} == {TICK}


def test_feast_teardown_is_mended_by_publishing_and_materialising(ready: World, feast: Callable[..., str]) -> None:
    [before] = OnlineStore(ready.root, ready.problem).read("all", [KEY], CLOCK)
    feast("teardown")
    [row] = OnlineStore(ready.root, ready.problem).read("all", [KEY], CLOCK)
    assert {age.status for age in row.ages.values()} == {"MISSING"}
    assert not online_is_current(ready.root, ready.problem, CLOCK)
    materialise(ready.root, ready.problem, CLOCK)
    assert OnlineStore(ready.root, ready.problem).read("all", [KEY], CLOCK) == [before]
