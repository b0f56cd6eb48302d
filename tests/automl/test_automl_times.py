"""Dates and clock times of tables: one order of day and month a column, no date of today, times that order rows."""

from __future__ import annotations

import warnings
from datetime import datetime, time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.automl.engine import _positions
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.table.columns import infer_columns
from headrace.automl.table.times import _parsed, is_day_first, parse_dates
from headrace.automl.validation.guess import Decision, decide_validation
from headrace.core.errors import DataError, DeclarationError
from headrace.serving.table import _value

DAYS = pd.date_range("2020-01-01", periods=400)


def cleaned(values: object) -> tuple[Cleaner, pd.Series]:
    frame = pd.DataFrame({"at": values, "x": np.arange(len(pd.Series(values)))})
    cleaner = Cleaner.fit(frame)
    return cleaner, cleaner.transform(frame)["at"]


@pytest.mark.parametrize(
    "form", ["%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m/%d/%Y", "%Y-%m-%d", "%d/%m/%y", "%d.%m.%Y %H:%M", "%d %b %Y"]
)
def test_every_day_of_a_column_is_read_in_the_order_of_the_column(form: str) -> None:
    cleaner, at = cleaned(DAYS.strftime(form))
    assert at.tolist() == DAYS.tolist()
    one = cleaner.transform(pd.DataFrame({"at": [DAYS[33].strftime(form)], "x": [1]}))  # 3 February
    assert one["at"].tolist() == [DAYS[33]]
    iso = cleaner.transform(pd.DataFrame({"at": ["2020-02-03"], "x": [1]}))
    assert iso["at"].tolist() == [DAYS[33]]


FORMS = ("%d/%m/%Y", "%m/%d/%Y", "%m/%d/%Y %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y", "%d %b %Y", "%b %d, %Y",
         "%Y-%m-%dT%H:%M:%S+02:00", "%m/%d/%y", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M:%S EST")  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.sampled_from(["", "x", "13/13/2020", "2020-02-30"]),
            st.builds(
                lambda at, form: at.strftime(form),
                st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)), st.sampled_from(FORMS),
            ),
        ),
        max_size=8,
    ),
    st.booleans(),
)  # fmt: skip
def test_dates_are_those_of_each_text_in_its_own_format(texts: list[str | None], day_first: bool) -> None:
    values = pd.Series(texts, index=[0] * len(texts), dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pd.to_datetime(values, errors="coerce", utc=True, format="mixed", dayfirst=day_first)
    found = _parsed(values, day_first=day_first)
    assert found.isna().tolist() == expected.isna().tolist()
    assert found.dropna().tolist() == expected.dropna().tolist()


def test_dates_with_a_clock_are_parsed_at_once_where_the_first_is_missing_too(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    to_datetime = pd.to_datetime

    def recorded(texts: Any, **options: Any) -> Any:
        calls.append(options["format"])
        return to_datetime(texts, **options)

    monkeypatch.setattr(pd, "to_datetime", recorded)
    for day_first, form in ((False, "%m/%d/%Y %H:%M"), (True, "%d/%m/%Y %H:%M")):
        values = pd.Series([None, "nan", *DAYS[:12].strftime(form)])
        assert _parsed(values.iloc[[0, *range(2, 14)]], day_first=day_first).iloc[1:].dt.tz_localize(
            None
        ).tolist() == list(DAYS[:12])
        assert calls.pop() == form
        assert calls == []


def test_dotted_dates_are_day_first_even_where_no_day_is_above_12() -> None:
    days = [day for day in DAYS if day.day <= 12]
    assert cleaned([day.strftime("%d.%m.%Y") for day in days])[1].tolist() == days
    assert cleaned([f"{one}.5" for one in range(30)])[0].columns[0].kind == "number"
    assert cleaned([f"1.{one}.3" for one in range(30)])[0].columns[0].kind == "category"  # versions


def test_dates_that_begin_with_the_year_have_no_order_of_day_and_month() -> None:
    assert not is_day_first(pd.Series(["2020-01-15", "2020-02-10"]))
    assert cleaned(DAYS.strftime("%Y-%m-%d"))[0].notes() == ["column 'at': date, texts that are dates"]


@pytest.mark.parametrize("far", ["9999-12-31", "31.12.9999", "0001-01-01 00:00:00"])
def test_dates_beyond_the_range_of_time_stamps_are_missing(far: str) -> None:
    cleaner, at = cleaned([far] * 40 + DAYS.strftime("%Y-%m-%d").tolist())
    order = ", day before month" * far.startswith("31.")
    reason = f"texts that are dates{order}, missing where before 1678 or after 2261"
    assert cleaner.notes() == [f"column 'at': date, {reason}"]
    assert at.isna().sum() == 40
    assert at.iloc[40:].tolist() == DAYS.tolist()
    assert _value(far, cleaner.columns[0], "request") is None
    assert cleaned([f"model {one} of 9999" for one in range(30)])[0].columns[0].kind != "date"


@pytest.mark.parametrize(
    "text", ["now", "today", "NOW ", "12:30", "12:30:01.5", "10:30 PM", "12:30 UTC", "12:30+01:00"]
)
def test_a_text_that_would_be_a_date_of_today_is_none(text: str) -> None:
    assert parse_dates(pd.Series([text])).isna().all()


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        (["12:30", "7:05", None, "00:00"], [45_000, 25_500, np.nan, 0]),
        (["12:30:10", "07:05:00.5"], [45_010, 25_500.5]),
        (["12:30 AM", "12:30 pm", "1:00 PM"], [1_800, 45_000, 46_800]),
        ([time(12, 30), None, time(0, 0, 1, 500_000)], [45_000, np.nan, 1.5]),
    ],
)
def test_clock_times_are_numbers(values: list[object], seconds: list[float]) -> None:
    cleaner, at = cleaned(values)
    assert cleaner.columns[0].kind == "number"
    assert cleaner.notes() == ["column 'at': number, clock times in seconds"]
    np.testing.assert_array_equal(at, seconds)
    later = cleaner.transform(pd.DataFrame({"at": ["0:01", 90, "soon"], "x": [1, 2, 3]}))
    np.testing.assert_array_equal(later["at"], [60, 90, np.nan])


def test_the_api_reads_a_column_as_training_did() -> None:
    clock, day = (cleaned(values)[0].columns[0] for values in (["12:30", "7:05"], DAYS.strftime("%d/%m/%Y")))
    assert _value("12:30", clock, "request") == "12:30"
    assert _value(90, clock, "request") == 90
    with pytest.raises(DataError, match="must be"):
        _value("soon", clock, "request")
    assert _value("03/02/2020", day, "request") == "2020-02-03T00:00:00+00:00"
    assert _value("2020-02-03", day, "request") == "2020-02-03T00:00:00+00:00"


def test_the_api_reads_truth_values_and_their_texts() -> None:
    truth, number = infer_columns(pd.DataFrame({"open": [True, False, True], "size": [1, 2, 3]}))
    assert [_value(value, truth, "request") for value in (True, "True", " FALSE", 0)] == [1.0, 1.0, 0.0, 0]
    for value, column in (("yes", truth), ("True", number)):
        with pytest.raises(DataError):
            _value(value, column, "request")


def decided(times: object) -> tuple[Decision, pd.DataFrame]:
    frame = pd.DataFrame({"Datum": times, "x": np.random.default_rng(0).normal(size=len(pd.Series(times)))})
    cleaner = Cleaner.fit(frame)
    table = cleaner.transform(frame)
    return decide_validation(table, cleaner, mode="auto", time="Datum", groups=None), table


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d.%m.%Y"])
def test_rows_are_ordered_by_a_column_of_day_first_dates(form: str) -> None:
    decision, table = decided(DAYS.strftime(form))
    assert decision.mode == "time"
    assert _positions(table["Datum"]).tolist() == list(range(400))


def test_a_column_of_times_that_is_a_text_is_refused() -> None:
    with pytest.raises(DeclarationError, match="'Datum' holds neither dates nor numbers"):
        decided([f"week {one}" for one in range(60)])
    assert decided(np.arange(60))[0].mode == "time"


def test_a_column_of_clock_times_does_not_order_the_rows_by_itself() -> None:
    frame = pd.DataFrame({"time": [f"{one // 60:02}:{one % 60:02}" for one in range(100)], "x": range(100)})
    cleaner = Cleaner.fit(frame)
    decision = decide_validation(cleaner.transform(frame), cleaner, mode="auto", time=None, groups=None)
    assert decision.mode == "random"
    assert [column.kind for column in infer_columns(frame)] == ["number", "number"]
