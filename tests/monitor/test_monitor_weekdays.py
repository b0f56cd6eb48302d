"""A window that is not of whole weeks is held to its own weekdays: weekly habits are no drift."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION
from headrace.monitor.evidence.weekdays import same_weekdays, spacing_us, times_covered
from headrace.monitor.evidence.window import WindowEvidence, window_evidence

KINDS = {"busy": "numeric", "carrier": "categorical", "steady": "numeric"}
DAYS = 120


def _weekly(rng: np.random.Generator, rows: int, first: int, last: int) -> pa.Table:
    """A still world with weekly habits: Saturdays and Sundays are two standard deviations off, in everything."""
    cutoffs = np.sort(rng.integers(first * DAY, last * DAY, rows))
    off = np.where(cutoffs // DAY % 7 < 2, 2.0, 0.0)
    chance = 1 / (1 + np.exp(1 - off + rng.normal(size=rows)))
    return pa.table(
        {
            "busy": off + rng.normal(size=rows),
            "carrier": np.array(["week", "weekend"])[(rng.random(rows) < 0.2 + off / 4).astype(int)],
            "steady": rng.normal(size=rows),
            PREDICTION: chance,
            LABEL: (rng.random(rows) < chance).astype(float),
            CUTOFF: cutoffs,
        }
    )


def _look(seed: int, start: int, days: int, *, mixed: bool, moved: float = 0.0, rows: bool = False) -> WindowEvidence:
    """The evidence of so many days, held to their weekdays or to the whole reference (rows: as independent ones)."""
    rng = np.random.default_rng([seed, start])
    reference, held_out = _weekly(rng, 5_000, 0, DAYS - 28), _weekly(rng, 2_000, DAYS - 28, DAYS)
    current = _weekly(rng, 1_000, start, start + days)
    current = current.set_column(0, "busy", pa.array(current["busy"].to_numpy() + moved))
    window, length = (start * DAY, (start + days) * DAY), 0 if rows else days * DAY
    if mixed:
        reference, held_out = (same_weekdays(table, *window) for table in (reference, held_out))
        length = spacing_us(*window)
    return window_evidence(
        reference, current, KINDS, held_out=held_out, cutoffs_us=current[CUTOFF].to_numpy(), length_us=length
    )


@pytest.mark.parametrize("days", [3, 10])
def test_weekly_habits_are_no_drift(days: int) -> None:
    found = [_look(seed, DAYS + seed, days, mixed=True) for seed in range(14)]
    assert not any(one.alarming for one in found)
    assert all("not judged" not in " ".join(one.notes) for one in found)


def test_against_all_weekdays_weekly_habits_alarm_by_rows() -> None:
    found = [_look(seed, DAYS + seed, 3, mixed=False, rows=True) for seed in range(7)]
    assert sum(one.alarming for one in found) >= 4  # the others have a weekend's share of about two in seven


def test_what_moved_within_the_same_weekdays_is_found_and_is_not_against_all_of_them() -> None:
    """Against all days, three of them may lie anywhere between a Sunday's and a Wednesday's values."""
    mixed, whole = ([_look(seed, DAYS + seed, 3, mixed=way, moved=1.0) for seed in range(7)] for way in (True, False))
    assert all("busy" in one.drifted for one in mixed)
    assert sum("busy" in one.drifted for one in whole) < 4


def test_whole_weeks_are_held_to_everything() -> None:
    table = _weekly(np.random.default_rng(0), 500, 0, 60)
    assert same_weekdays(table, 3 * DAY, 17 * DAY) is table
    assert same_weekdays(table.drop_columns([CUTOFF]), 0, 3 * DAY).num_rows == 500


def test_ten_days_hold_three_weekdays_twice() -> None:
    table = _weekly(np.random.default_rng(0), 7_000, 0, 70)
    taken = same_weekdays(table, 100 * DAY, 110 * DAY)[CUTOFF].to_numpy() // DAY % 7
    rows = np.bincount(taken, minlength=7)
    before = np.bincount(table[CUTOFF].to_numpy() // DAY % 7, minlength=7)
    twice = [day % 7 for day in range(100, 103)]
    assert [rows[day] == before[day] for day in range(7)] == [day in twice for day in range(7)]
    assert all(abs(rows[day] - before[day] / 2) <= 1 for day in range(7) if day not in twice)
    order = same_weekdays(table, 100 * DAY, 110 * DAY)[CUTOFF].to_numpy()
    assert (np.diff(order) >= 0).all()


@settings(max_examples=60)
@given(cutoff=st.integers(0, 400), start=st.integers(0, 400), length=st.integers(1, 400))
def test_times_covered_counts_the_instants_of_the_same_time_of_the_week(cutoff: int, start: int, length: int) -> None:
    window = range(start, start + length)  # in hours
    expected = sum((hour - cutoff) % (7 * 24) == 0 for hour in window)
    cutoffs = np.array([cutoff * HOUR])
    assert times_covered(cutoffs, start * HOUR, (start + length) * HOUR).tolist() == [expected]


def test_windows_follow_each_other_by_whole_weeks() -> None:
    assert [spacing_us(0, days * DAY) // DAY for days in (1, 3, 7, 10, 20)] == [7, 7, 7, 7, 14]
