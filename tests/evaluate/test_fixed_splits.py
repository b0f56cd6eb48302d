"""Windows that a user fixes, by dates and by a column."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.core.clock import DAY, to_us
from headrace.core.errors import DataError, DeclarationError
from headrace.evaluate.fixed_splits import (
    TEST,
    TRAIN,
    TUNE,
    UNUSED,
    before_gate,
    fixed_folds,
    fixed_windows,
    holdout_start,
    sampled_rows,
    window_of_rows,
)
from headrace.schema import Splits

START = to_us("2024-01-01")
DATES = Splits(tune="2024-03-01", gate="2024-04-01", test="2024-05-01")
CUTOFFS = START + np.arange(150) * DAY
COLUMN = Splits(column="part", train="a", tune="b", test="c")


def test_dates_name_half_open_windows() -> None:
    windows = window_of_rows(DATES, CUTOFFS)
    bounds = [to_us(text) for text in ("2024-03-01", "2024-04-01", "2024-05-01")]
    assert windows.tolist() == np.searchsorted(bounds, CUTOFFS, side="right").tolist()


def test_a_column_names_windows_and_other_values_none() -> None:
    assert window_of_rows(COLUMN, CUTOFFS[:4], ["c", "a", None, "b"]).tolist() == [TEST, TRAIN, UNUSED, TUNE]


def test_dates_drop_rows_whose_label_comes_after_the_next_window_began() -> None:
    windows = fixed_windows(DATES, CUTOFFS, CUTOFFS + 10 * DAY)
    assert CUTOFFS[windows.train].max() + 10 * DAY < windows.tune_start_us == to_us("2024-03-01")
    assert CUTOFFS[windows.tune].max() + 10 * DAY < windows.gate_start_us == to_us("2024-04-01")
    assert windows.purged == 20
    assert CUTOFFS[windows.gate].max() < to_us("2024-05-01")
    usable = before_gate(DATES, CUTOFFS, CUTOFFS + 10 * DAY, windows)
    assert set(windows.train) | set(windows.tune) < set(usable)  # rows that were late for tune, but not for the gate


def test_a_column_drops_no_row_and_without_a_gate_tune_is_the_gate() -> None:
    parts = ["a"] * 60 + ["b"] * 40 + ["c"] * 50
    windows = fixed_windows(COLUMN, CUTOFFS, CUTOFFS + 10 * DAY, values=parts)
    assert (len(windows.train), len(windows.tune), windows.purged) == (60, 40, 0)
    np.testing.assert_array_equal(windows.gate, windows.tune)
    np.testing.assert_array_equal(before_gate(COLUMN, CUTOFFS, CUTOFFS, windows), windows.train)


def test_windows_that_overlap_in_time_have_one_fold() -> None:
    parts = ["a", "b", "a"] * 50
    windows = fixed_windows(COLUMN, CUTOFFS, CUTOFFS, values=parts)
    assert len(fixed_folds(CUTOFFS, CUTOFFS, windows)) == 1
    ordered = fixed_windows(COLUMN, CUTOFFS, CUTOFFS, values=["a"] * 100 + ["b"] * 30 + ["c"] * 20)
    folds = fixed_folds(CUTOFFS, CUTOFFS, ordered)
    assert len(folds) > 1
    np.testing.assert_array_equal(folds[-1][1], ordered.tune)


def test_the_test_window_starts_with_its_first_row() -> None:
    assert holdout_start(DATES, CUTOFFS) == to_us("2024-05-01")
    assert holdout_start(COLUMN, CUTOFFS, ["a"] * 100 + ["c"] * 50) == CUTOFFS[100]
    assert holdout_start(Splits(tune="2024-03-01"), CUTOFFS) is None
    with pytest.raises(DataError, match="never 'c'"):
        holdout_start(COLUMN, CUTOFFS, ["a"] * 150)


def test_a_sample_takes_rows_of_train_and_tune_only() -> None:
    windows = np.array([TRAIN] * 80 + [TUNE] * 40 + [TEST] * 30)
    remain = sampled_rows(windows, 50)
    assert [int(remain[windows == one].sum()) for one in (TRAIN, TUNE, TEST)] == [50, 40, 30]
    np.testing.assert_array_equal(remain, sampled_rows(windows, 50))
    assert sampled_rows(windows, None).all()


def test_a_window_without_rows_is_an_error() -> None:
    with pytest.raises(DataError, match="tune window: part is never 'b'"):
        fixed_windows(COLUMN, CUTOFFS, CUTOFFS, values=["a"] * 150)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tune": "spring"}, "tune='spring' is no instant"),
        ({"tune": "2024-03-01", "test": "2024-02-01"}, "not in order"),
        ({"tune": "val", "test": "val", "column": "part"}, "same value"),
        ({"tune": "2024-03-01", "max_train_rows": 0}, "max_train_rows"),
    ],
)
def test_a_wrong_declaration_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        Splits(**fields)  # type: ignore[arg-type]
