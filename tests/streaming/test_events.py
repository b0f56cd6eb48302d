"""Events become rows of the lake and served features, equal in all bits to those that are computed anew."""

from __future__ import annotations

import queue
import shutil
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.api.errors import add_error_handlers
from headrace.api.events import MAX_EVENT_BYTES, events_router
from headrace.core.clock import HOUR, iso
from headrace.core.errors import ConflictError, DataError
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.store.history import entity_rows
from headrace.store.materialise import online_is_current, online_rows
from headrace.store.online import OnlineStore
from headrace.store.online_file.tables import RowQuery
from headrace.store.published import read_published
from headrace.streaming.consumer import MemoryLog, Record, consume
from headrace.streaming.gateway import EventGateway
from headrace.streaming.live import LiveTables
from headrace.streaming.rows import event_rows, with_arrival
from tests.store import world as harbour
from tests.store.world import START, World, features, make_world

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

WAIT_S = 60.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The harbour with ticks of 100 ms, its features published. Read only."""
    from headrace.store.publish import publish

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harbour, "DECLARATION", harbour.DECLARATION.replace('tick="1h"', 'tick="100ms"'))
        made = make_world(tmp_path_factory.mktemp("events"))
    publish(made.root, made.problem, features(), "all")
    return made


@pytest.fixture
def world(served: World, tmp_path: Path) -> World:
    """A copy of that harbour, to change."""
    shutil.copytree(served.root, tmp_path / "home")
    return World(root=tmp_path / "home", problem=served.problem, path=served.path)


@pytest.fixture
def gateway(world: World) -> Iterator[EventGateway]:
    gateway = EventGateway(world.root, world.problem)
    gateway.start()
    yield gateway
    gateway.stop()


def stay(number: int, **values: Any) -> dict[str, Any]:
    moored = datetime.now(UTC).isoformat()
    return {"stay": number, "boat": "anna", "berth": 2**40, "moored": moored, "weather": "sun", **values}


def online(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every view in the online file."""
    found = {}
    for view in read_published(world.root, world.problem.name).views:
        keys = [tuple(row.values())[: len(view.join_keys)] for row in rebuilt(world)[view.name]]
        query = RowQuery(view=view.name, join_keys=view.join_keys, columns=view.slugs, keys=keys)
        found[view.name] = [tuple(row or ()) for row in online_rows(world.root).read([query])[0].rows]
    return found


def rebuilt(world: World) -> dict[str, list[dict[str, Any]]]:
    """The rows of every view at the clock's tick, computed from the lake's files."""
    published, lake = read_published(world.root, world.problem.name), Lake(world.root, world.problem.name)
    clock = lake.clock()
    assert clock is not None
    tick = clock - clock % world.problem.tick_us
    return {
        view.name: [
            row
            for chunk in entity_rows(published, world.problem, view, view.slugs, lake.snapshot(), tick)
            for row in chunk.to_pylist()
        ]
        for view in published.views
    }


def test_an_event_is_served_and_equals_a_rebuild(world: World, gateway: EventGateway) -> None:
    first = gateway.submit("stays", [stay(1000)]).result(WAIT_S)
    second = gateway.submit("stays", [stay(1001, boat="never_moored"), stay(1002)]).result(WAIT_S)
    assert gateway.wait_visible(second, WAIT_S)
    assert first.visible_us <= second.visible_us
    assert 0 < second.visible_us - second.arrival_us <= world.problem.tick_us
    store, clock = OnlineStore(world.root, world.problem), Lake(world.root, world.problem.name).clock()
    assert clock is not None
    (row,) = store.read("all", [{"boat": "anna", "berth": 2**40}], clock)
    counts = {name: value for name, value in row.values.items() if name.startswith("boat_count")}
    assert list(counts.values()) == [2.0], row.values  # in the last seven days; the harbour's own stays are older
    assert {age.status for age in row.ages.values()} == {"FRESH"}
    expected = {name: [tuple(row.values()) for row in rows] for name, rows in rebuilt(world).items()}
    for view in read_published(world.root, world.problem.name).views:
        width = len(view.join_keys)
        assert online(world)[view.name] == [row[width:] for row in expected[view.name]]
    assert online_is_current(world.root, world.problem, clock)


def test_a_correction_is_a_version_and_a_repeat_is_none(world: World, gateway: EventGateway) -> None:
    row = stay(2000)
    for event in (row, row, {**row, "weather": "rain"}):
        receipt = gateway.submit("stays", [event]).result(WAIT_S)
    assert gateway.wait_visible(receipt, WAIT_S)
    versions = world.snapshot.table("stays").filter(pa.compute.equal(world.snapshot.table("stays")["stay"], 2000))
    assert versions["weather"].to_pylist() == ["sun", "rain"]


@pytest.mark.parametrize(
    ("table", "rows", "message"),
    [
        ("ships", [{"stay": 1}], "no table 'ships'. found: boats, stays"),
        ("stays", [], "0 rows"),
        ("stays", [stay(1, colour="red")], "no column 'colour'"),
        ("stays", [stay(1, _arrival="2020-01-01T00:00:00Z")], "no column '_arrival'"),
        ("stays", [stay(1, stay="x1")], "stays.stay"),
        ("stays", [stay(1, stay=None)], "rows have no key"),
        ("stays", [stay(1, weather="\ud800")], "a text that is no Unicode"),
        ("stays", [stay(1, fee=2**53 + 1)], "a whole number that double does not hold exactly"),
        ("stays", [stay(1), stay(1, weather="rain")], "1 duplicate key"),
        ("stays", [stay(1, fee="dear")], "text in a numeric column: 'dear'"),
        ("stays", [stay(1, fee={"eur": 1})], "cannot be kept"),
        ("stays", [stay(1, weather=3)], "int64, but string in the lake"),
        ("stays", [stay(1, moored="yesterday")], "not a time"),
        ("stays", [stay(1, weather="sun"), stay(2, weather=["sun"])], "values of several types"),
    ],
)
def test_a_wrong_event_is_refused_and_the_others_are_not(
    gateway: EventGateway, world: World, table: str, rows: list[dict[str, Any]], message: str
) -> None:
    wrong, right = gateway.submit(table, rows), gateway.submit("stays", [stay(3000)])
    with pytest.raises(DataError, match=message):
        wrong.result(WAIT_S)
    assert right.result(WAIT_S).rows == 1


@pytest.mark.parametrize(
    ("wrong", "where", "fix"),
    [
        ({"stay": None}, "stays.stay, row 1", "give each row its key"),
        ({"stay": "x1"}, "stays.stay, row 1", "correct the value: the key is a number"),
    ],
)
def test_a_wrong_key_is_told_with_its_place_and_what_to_do(
    served: World, wrong: dict[str, Any], where: str, fix: str
) -> None:
    tables = LiveTables(Lake(served.root, served.problem.name), served.problem)
    table, expected = served.problem.entity_set.table("stays"), tables.source_schema("stays")
    assert expected is not None
    with pytest.raises(DataError) as refused:
        event_rows(served.problem, table, [stay(1, **wrong)], expected, tables)
    assert refused.value.where == where
    assert refused.value.fix.startswith(fix)
    assert where not in refused.value.what
    assert "categorical" not in refused.value.fix


def test_an_error_that_nobody_foresaw_is_an_answer_and_later_events_are_taken(
    gateway: EventGateway, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append", Mock(side_effect=ZeroDivisionError("a defect")))
        with pytest.raises(ZeroDivisionError, match="a defect"):
            gateway.submit("stays", [stay(6000)]).result(WAIT_S)
    with monkeypatch.context() as patch:
        patch.setattr("headrace.streaming.gateway.refresh", Mock(side_effect=ZeroDivisionError("a defect")))
        receipt = gateway.submit("stays", [stay(6001)]).result(WAIT_S)
        assert not gateway.wait_visible(receipt, 0.5)
    receipt = gateway.submit("stays", [stay(6002)]).result(WAIT_S)
    assert gateway.wait_visible(receipt, WAIT_S)
    assert world.snapshot.table("stays")["stay"].to_pylist()[-2:] == [6001, 6002]


def test_a_refused_event_does_not_load_the_tables_again(gateway: EventGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway.submit("stays", [stay(6050)]).result(WAIT_S)
    monkeypatch.setattr("headrace.streaming.gateway.LiveTables", Mock(side_effect=AssertionError("loaded again")))
    with pytest.raises(DataError, match="no table"):
        gateway.submit("ships", [{"stay": 1}]).result(WAIT_S)
    assert gateway.submit("stays", [stay(6051)]).result(WAIT_S)


@pytest.mark.parametrize("killed_after", ["the append", "the clock"])
def test_an_event_whose_server_ended_before_its_tick_is_served_by_the_next(
    world: World, killed_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = EventGateway(world.root, world.problem)
    with monkeypatch.context() as patch:
        patch.setattr("headrace.streaming.gateway.refresh", Mock(side_effect=OSError("killed")))
        if killed_after == "the append":
            patch.setattr(EventGateway, "_refresh", Mock())
        first.start()
        receipt = first.submit("stays", [stay(6150)]).result(WAIT_S)
        first.stop()
    lake = Lake(world.root, world.problem.name)
    if killed_after == "the clock":
        lake.advance_clock(receipt.visible_us)
    second = EventGateway(world.root, world.problem)
    second.start()
    assert second.wait_visible(receipt, WAIT_S)
    second.stop()
    assert lake.clock() == receipt.visible_us
    assert online(world) == {
        view.name: [tuple(row.values())[len(view.join_keys) :] for row in rebuilt(world)[view.name]]
        for view in read_published(world.root, world.problem.name).views
    }
    third = EventGateway(world.root, world.problem)
    with monkeypatch.context() as patch:
        patch.setattr(EventGateway, "_refresh", Mock(side_effect=AssertionError("refreshed again")))
        third.start()
        third.stop()


def test_a_request_that_was_given_up_is_not_appended(world: World) -> None:
    gateway = EventGateway(world.root, world.problem)
    given_up, wanted = gateway.submit("stays", [stay(6100)]), gateway.submit("stays", [stay(6101)])
    assert given_up.cancel()
    gateway.start()
    assert wanted.result(WAIT_S).rows == 1
    gateway.stop()
    assert world.snapshot.table("stays")["stay"].to_pylist()[-1:] == [6101]
    assert 6100 not in world.snapshot.table("stays")["stay"].to_pylist()


def test_a_column_that_was_null_until_now_may_come_with_and_without_values(world: World) -> None:
    """Two requests that wait together, of which one brings the first value of a column."""
    gateway, known = EventGateway(world.root, world.problem), LiveTables.source_schema
    answers = [gateway.submit("stays", [stay(6200)]), gateway.submit("stays", [stay(6201, fee=2.5)])]

    def without_a_type(tables: LiveTables, name: str) -> pa.Schema:
        schema = known(tables, name)
        assert schema is not None
        return schema.set(schema.get_field_index("fee"), pa.field("fee", pa.null()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveTables, "source_schema", without_a_type)
        gateway.start()
        assert [answer.result(WAIT_S).rows for answer in answers] == [1, 1]
        gateway.stop()
    assert world.snapshot.table("stays")["fee"].to_pylist()[-2:] == [None, 2.5]


def test_a_consumer_with_more_than_may_wait_gets_past_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.streaming.consumer._AT_ONCE", 8)
    small = EventGateway(world.root, world.problem)
    monkeypatch.setattr(small, "_waiting", queue.Queue(2))
    small.start()
    log, stopped = MemoryLog(), threading.Event()
    for number in range(20):
        log.send("moorings", stay(7000 + number))
    done = threading.Thread(target=consume, args=(log, small, {"moorings": "stays"}, stopped), kwargs={"poll_s": 0.001})
    done.start()
    while log.committed.get("moorings", 0) < 20:
        threading.Event().wait(0.01)
    stopped.set()
    done.join(WAIT_S)
    small.stop()
    found = [number for number in world.snapshot.table("stays")["stay"].to_pylist() if number >= 7000]
    assert found == [7000 + number for number in range(20)]


def test_events_over_http(world: World) -> None:
    app = FastAPI()
    add_error_handlers(app)
    app.include_router(events_router(EventGateway(world.root, world.problem)))
    with TestClient(app) as client:
        answer = client.post("/events", json={"table": "stays", "rows": [stay(4000), stay(4001)]})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["table"], answer.json()["rows"]) == ("stays", 2)
        wrong = client.post("/events", json={"table": "stays", "rows": [stay(4000, fee="dear")]})
        assert wrong.status_code == 422
        assert wrong.json()["error"]["what"] == "text in a numeric column: 'dear'"
        assert client.post("/events", json={"table": "stays", "rows": []}).status_code == 422
        declared = {"content-type": "application/json"}
        twice = client.post(
            "/events", content=b'{"table": "stays", "rows": [{"stay": 1, "stay": 2}]}', headers=declared
        )
        assert (twice.status_code, twice.json()["error"]["what"]) == (422, "a name stands twice in one object")
        large = client.post("/events", content=b" " * (MAX_EVENT_BYTES + 1), headers=declared)
        assert large.status_code == 413
    assert world.snapshot.table("stays")["stay"].to_pylist()[-2:] == [4000, 4001]


def test_a_consumer_that_is_killed_continues_and_nothing_comes_twice(world: World, gateway: EventGateway) -> None:
    log, refused = MemoryLog(), list[tuple[Record, DataError]]()
    events = [stay(5000 + number) for number in range(6)]
    for event in events[:3]:
        log.send("moorings", event)
    log.send("weather", {"x": 1})  # a topic that no table takes
    log.send("moorings", {"stay": "wrong"})
    first = log.poll(0)
    gateway.submit("stays", [first[0].value]).result(WAIT_S)  # appended, then killed before its commit
    log.restart()
    stopped = threading.Event()
    done = threading.Thread(
        target=consume, args=(log, gateway, {"moorings": "stays"}, stopped), kwargs={"refused": refused}
    )
    done.start()
    for event in events[3:]:
        log.send("moorings", event)
    while log.committed.get("moorings", 0) < 7:
        threading.Event().wait(0.01)
    stopped.set()
    done.join(WAIT_S)
    rows = world.snapshot.table("stays")["stay"].to_pylist()
    assert [number for number in rows if number >= 5000] == [5000 + number for number in range(6)]
    assert [record.offset for record, _ in refused] == [3]


def test_a_replayed_problem_takes_no_events(world: World) -> None:
    with pytest.raises(ConflictError, match="replays a feed"):
        EventGateway(world.root, load_problem("flights"))


EVENTS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["sun", "rain", None]), st.sampled_from([1.0, 2.5, None])),
        min_size=1, max_size=4, unique_by=lambda event: event[0],
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=EVENTS)
def test_tables_in_memory_equal_a_snapshot(
    served: World, tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, str | None, float | None]]]
) -> None:
    lake, problem = Lake(tmp_path_factory.mktemp("lake"), served.problem.name), served.problem
    table = problem.entity_set.table("stays")
    lake.append(problem.entity_set.table("boats"), served.problem.entity_set.table("boats").source.read(), arrival_us=0)
    lake.append(table, harbour.stays(20), arrival_us=START, bootstrap=True)
    live, expected = LiveTables(lake, problem), lake.schema("stays")
    assert expected is not None
    live.table("stays")
    for number, batch in enumerate(batches):
        rows = [
            {"stay": key, "moored": iso(START + key * HOUR), "weather": weather, "fee": fee, "boat": "anna"}
            for key, weather, fee in batch
        ]
        arrived = with_arrival(event_rows(problem, table, rows, expected, live), START + number)
        lake.append(table, arrived, arrival_us=START + number, source="events")
        live.extend(table, arrived)
        assert live.table("stays").equals(lake.snapshot().table("stays").select(live.table("stays").column_names))
        assert live.fingerprint == lake.snapshot().fingerprint
