"""The replayed feed: bootstrap and steps laid over each other are the source as it was known at the instant."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import given, settings

from headrace.core.clock import DAY, HOUR, NEVER
from headrace.lake import feed, known_times
from headrace.lake.conform import ARRIVAL
from headrace.lake.times import TIMESTAMP
from headrace.problems.flights import problem as flights
from headrace.schema import Table, TimeExpression

TRIPS = Table(
    name="trips",
    key="id",
    time="due",
    known="due - 10s",
    known_at={"delay": "left", "sold": "due + 2s"},
    source="-",
)
SECOND = 1_000_000

instants = st.one_of(st.none(), st.integers(0, 40))
trips = st.lists(st.tuples(st.integers(0, 40), instants, st.integers(0, 3), st.integers(0, 3)), max_size=6)


def trips_table(rows: list[tuple[int, int | None, int, int]]) -> pa.Table:
    due, left, delay, sold = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "id": pa.array(range(len(rows)), pa.int64()),
            "due": _times(due),
            "left": _times(left),
            "delay": pa.array(delay, pa.int64()),
            "sold": pa.array(sold, pa.int64()),
        }
    )


def _times(seconds: tuple[int | None, ...]) -> pa.Array:
    return pa.array([None if s is None else s * SECOND for s in seconds], pa.int64()).cast(TIMESTAMP)


def seen_by(rows: list[tuple[int, int | None, int, int]], instant: int) -> dict[int, dict[str, Any]]:
    """The oracle: row by row, value by value, what was known before an instant (seconds)."""
    seen = {}
    for number, (due, left, delay, sold) in enumerate(rows):
        if due - 10 >= instant:
            continue
        has_left = left is not None and left < instant
        seen[number] = {
            "due": due,
            "left": left if has_left else None,
            "delay": delay if has_left else None,
            "sold": sold if due + 2 < instant else None,
        }
    return seen


def laid_over(*tables: pa.Table) -> dict[int, dict[str, Any]]:
    latest: dict[int, dict[str, Any]] = {}
    for table in tables:
        for row in table.drop_columns([ARRIVAL] if ARRIVAL in table.column_names else []).to_pylist():
            number = row.pop("id")
            latest[number] = {k: int(v.timestamp()) if isinstance(v, datetime) else v for k, v in row.items()}
    return latest


@settings(max_examples=150, deadline=None)
@given(rows=trips, cuts=st.lists(st.integers(-12, 50), min_size=1, max_size=4).map(sorted))
def test_bootstrap_and_steps_are_the_source_as_known(
    rows: list[tuple[int, int | None, int, int]], cuts: list[int]
) -> None:
    source = trips_table(rows)
    start = feed.known_before(TRIPS, source, cuts[0] * SECOND)
    steps = [feed.messages(TRIPS, source, since * SECOND, until * SECOND) for since, until in itertools.pairwise(cuts)]
    assert laid_over(start) == seen_by(rows, cuts[0])
    assert laid_over(start, *steps) == seen_by(rows, cuts[-1])


@settings(max_examples=100, deadline=None)
@given(rows=trips)
def test_a_message_says_what_was_known_at_its_instant_and_none_comes_twice(
    rows: list[tuple[int, int | None, int, int]],
) -> None:
    messages = feed.messages(TRIPS, trips_table(rows), -100 * SECOND, 100 * SECOND)
    arrivals = messages[ARRIVAL].cast(pa.int64()).to_pylist()
    assert arrivals == sorted(arrivals)
    assert len(set(zip(messages["id"].to_pylist(), arrivals, strict=True))) == messages.num_rows
    for place, arrival in enumerate(arrivals):
        row = laid_over(messages.slice(place, 1))
        number = next(iter(row))
        assert row[number] == seen_by(rows, arrival // SECOND + 1)[number]


def test_known_times_follow_offset_null_and_resolution() -> None:
    rows = pa.table({"id": [1, 2], "day": _times((86_400, None))})
    daily = Table(name="t", key="id", time="day", resolution="1d", source="-")
    assert known_times.row_known(daily, rows).tolist()[0] == 2 * DAY
    assert known_times.instants(daily, rows, TimeExpression.parse("day + 1h")).tolist() == [2 * DAY + HOUR, NEVER]
    assert sorted(known_times.later_columns(TRIPS)) == ["delay", "left", "sold"]


def test_flights_of_one_day() -> None:
    start = int(datetime(2013, 5, 1, tzinfo=UTC).timestamp()) * SECOND
    table = flights.spine_table
    source = table.source.read()  # type: ignore[union-attr]
    tables = feed.step(flights, start, start + DAY)
    assert set(tables) == {"flights", "weather"}
    old, new = feed.known_before(table, source, start), tables["flights"]
    laid = pa.concat_tables([old, new.drop_columns([ARRIVAL])])
    numbered = laid.append_column("order", pa.array(range(laid.num_rows)))
    last = numbered.group_by("flight_id").aggregate([("order", "max")])["order_max"]
    latest = laid.take(last).sort_by("flight_id")
    assert latest.equals(feed.known_before(table, source, start + DAY).sort_by("flight_id"))
    versions = new.group_by("flight_id").aggregate([([], "count_all")])["count_all"].to_pylist()
    assert max(versions) == 2
    assert 2_500 < new.num_rows < 3_500


def test_flights_bootstrap_holds_nothing_of_may_but_its_schedule() -> None:
    rows = feed.bootstrap(flights)["flights"]
    start = datetime(2013, 5, 1, 2, tzinfo=UTC)  # a few flights leave some minutes before their schedule
    ahead = rows.filter(pa.compute.greater_equal(rows["scheduled_departure"], pa.scalar(start, TIMESTAMP)))
    assert ahead.num_rows > 25_000
    for outcome in ("departed", "arrived", "dep_delay", "arr_delay", "air_time", "cancelled", "cancel_known"):
        assert ahead[outcome].null_count == ahead.num_rows
    assert rows.filter(pa.compute.is_valid(rows["arr_delay"])).num_rows > 100_000
