"""Times as people write them become instants in UTC, or one error; periods end where the plain twin says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.calendar import earliest_reading, parse_lookback, parse_period, period_ends
from headrace.core.clock import DAY, from_us, iso, to_us
from headrace.core.errors import DataError, DeclarationError
from headrace.lake.times import TimeFormat, column_instants, value_instant
from headrace.schema import Problem, Table
from headrace.synthesis.history.known_time import cutoff_instants, expression_instants
from headrace.synthesis.oracle.periods import period_end
from tests.tiny_problem import write_tiny_problem

ZURICH, NEW_YORK = "Europe/Zurich", "America/New_York"


def read(
    values: Any, tz: str | None = None, resolution: str | None = None, kind: pa.DataType | None = None
) -> list[str]:
    column = pa.chunked_array([pa.array(values, kind)])
    instants = column_instants(column, TimeFormat(tz=tz, resolution=resolution), "t.at").cast(pa.int64()).to_pylist()
    return [iso(value) if value is not None else "null" for value in instants]


@pytest.mark.parametrize(
    ("values", "tz", "resolution", "expected"),
    [
        (["2024-07-01T12:00:00"], ZURICH, None, "2024-07-01T10:00:00Z"),
        (["2024-07-01 12:00"], NEW_YORK, None, "2024-07-01T16:00:00Z"),
        (["2024-07-01T12:00:00Z"], ZURICH, None, "2024-07-01T12:00:00Z"),
        ([datetime(2024, 7, 1, 12)], ZURICH, None, "2024-07-01T10:00:00Z"),
        ([pd.Timestamp("2024-01-01 12:00")], "UTC", None, "2024-01-01T12:00:00Z"),
        ([date(2024, 7, 1)], None, "1d", "2024-07-01T00:00:00Z"),
        ([date(2024, 7, 1)], ZURICH, "1d", "2024-06-30T22:00:00Z"),
        (["2024-07-01"], ZURICH, "1d", "2024-06-30T22:00:00Z"),
        ([20240701], None, "1d", "2024-07-01T00:00:00Z"),
        (["2024-07"], None, "1mo", "2024-07-01T00:00:00Z"),
        ([1985], None, "1y", "1985-01-01T00:00:00Z"),
        ([1985.0, None], None, "1y", "1985-01-01T00:00:00Z"),
        (["1985"], None, "1y", "1985-01-01T00:00:00Z"),
        ([1_719_828_000], None, None, "2024-07-01T10:00:00Z"),
        ([1_719_828_000.5], None, None, "2024-07-01T10:00:00.500000Z"),
        ([1_719_828_000_000], ZURICH, None, "2024-07-01T10:00:00Z"),
        ([1_719_828_000_000_000], None, None, "2024-07-01T10:00:00Z"),
        ([1_719_828_000_000_000_000], None, None, "2024-07-01T10:00:00Z"),
        (["1719828000"], None, None, "2024-07-01T10:00:00Z"),
        # The clock shows 02:30 twice on this day: it is known at the later one.
        (["2024-10-27T02:30:00"], ZURICH, None, "2024-10-27T01:30:00Z"),
    ],
)
def test_times_as_people_write_them(values: list[Any], tz: str | None, resolution: str | None, expected: str) -> None:
    assert read(values, tz, resolution)[0] == expected
    if not isinstance(values[0], date):  # a request writes the same value as JSON
        form = TimeFormat(tz=tz, resolution=resolution)
        assert iso(value_instant(values[0], form, "row 1, at") or 0) == expected


@pytest.mark.parametrize(
    ("values", "tz", "resolution", "message"),
    [
        (["2024-07-01T12:00:00"], None, None, r"no time zone.*tz='UTC'"),
        ([datetime(2024, 7, 1)], None, None, "no time zone"),
        ([date(2024, 7, 1)], None, None, "bare dates.*resolution='1d'"),
        (["2024-07-01"], ZURICH, None, "bare dates.*resolution='1d'"),
        ([1985], None, "1d", "years such as 1985.*resolution='1y'"),
        (["2024-07"], None, "1d", "months such as 2024-07.*resolution='1mo'"),
        ([45_000], None, None, "not a time: 45000 .a spreadsheet's day number"),
        ([20240231], None, "1d", "not a time: 20240231"),
        (["2024-01-01T00:00:00Z", "soon"], None, None, "row 2: not a time: 'soon'"),
        (["2024-03-31T02:30:00"], ZURICH, None, "2024-03-31 02:30:00 does not exist in Europe/Zurich"),
        ([True], None, None, "times are needed and the column holds bool"),
    ],
)
def test_what_is_no_instant_is_refused(values: list[Any], tz: str | None, resolution: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(values, tz, resolution)


zones = st.sampled_from([None, "UTC", ZURICH, NEW_YORK, "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"])
near_2018 = st.integers(to_us("1985-01-01"), to_us("2030-01-01"))


@settings(max_examples=300, deadline=None)
@given(at=near_2018, resolution=st.sampled_from(["1h", "1d", "1w", "1mo", "3mo", "1y", "10y"]), tz=zones)
def test_a_period_ends_where_the_plain_twin_says(at: int, resolution: str, tz: str | None) -> None:
    (end,) = period_ends(np.array([at]), resolution, tz).tolist()
    assert end == period_end(at, resolution, tz)
    assert at < end <= at + parse_period(resolution).longest_us + DAY


@settings(max_examples=200, deadline=None)
@given(at=near_2018, tz=zones.filter(lambda tz: tz is not None))
def test_a_cutoff_is_never_after_either_reading_of_a_local_time(at: int, tz: str) -> None:
    shown = from_us(at).astimezone(ZoneInfo(tz)).replace(tzinfo=None)
    known = to_us(read([shown], tz)[0])
    (cutoff,) = earliest_reading(np.array([known]), tz).tolist()
    assert cutoff <= at <= known


def test_a_day_ends_at_local_midnight() -> None:
    table = Table(name="t", key="k", time="day", resolution="1d", tz=NEW_YORK, source="-")
    rows = pa.table(
        {"day": column_instants(pa.chunked_array([["2024-07-01", None]]), TimeFormat.of(table, "day"), "t.day")}
    )
    assert table.row_known is not None
    assert iso(int(expression_instants(table, table.row_known, rows)[0])) == "2024-07-02T04:00:00Z"
    assert expression_instants(table, table.row_known, rows)[1] == 2**62
    twice = Table(name="t", key="k", time="at", tz=ZURICH, source="-")
    rows = pa.table({"at": [datetime(2024, 10, 27, 1, 30, tzinfo=UTC)]})
    assert twice.row_known is not None
    assert iso(int(cutoff_instants(twice, twice.row_known, rows)[0])) == "2024-10-27T00:30:00Z"


def test_lookbacks_take_months_and_years_and_what_needs_a_fixed_length_refuses_them() -> None:
    assert [parse_lookback(text) // DAY for text in ("1mo", "3mo", "1y", "2y", "4y", "18mo", "7d")] == [
        31, 92, 366, 731, 1461, 550, 7,
    ]  # fmt: skip
    for year in range(1900, 2100):  # rows of 1 January: those of one year before are inside, of two are not
        start = to_us(f"{year}-01-01") - parse_lookback("1y")
        assert to_us(f"{year - 2}-01-01") < start <= to_us(f"{year - 1}-01-01")
    with pytest.raises(DeclarationError, match=r"'1y' has no fixed length.*'365d'"):
        Table(name="t", key="k", time="at", known="at + 1y", source="-")
    with pytest.raises(DeclarationError, match=r"no time zone 'Europe/Zuric'.*Europe/Zurich"):
        Table(name="t", key="k", time="at", tz="Europe/Zuric", source="-")


def test_a_problem_takes_a_lookback_of_a_year(tmp_path: Any) -> None:
    text = write_tiny_problem(tmp_path).read_text().replace('lookbacks=("1d", "7d")', 'lookbacks=("1mo", "1y")')
    names: dict[str, Any] = {}
    exec(text, names)
    problem = names["problem"]
    assert isinstance(problem, Problem)
    assert problem.lookbacks_us == (31 * DAY, 366 * DAY)
