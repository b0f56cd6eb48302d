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


def test_a_tune_window_of_one_class_gives_way_to_the_newest_training_rows() -> None:
    parts = ["a"] * 100 + ["b"] * 20 + ["c"] * 30
    labels = np.where(np.arange(150) < 100, np.arange(150) % 3 == 0, 0).astype(float)
    known = CUTOFFS + 2 * DAY
    windows = fixed_windows(COLUMN, CUTOFFS, known, values=parts, labels=labels)
    np.testing.assert_array_equal(windows.tune, np.arange(85, 100))
    np.testing.assert_array_equal(windows.gate, windows.tune)
    assert known[windows.train].max() < windows.tune_start_us == windows.gate_start_us == CUTOFFS[85]
    assert windows.note == (
        "the label is 0 in all 20 rows of the declared tune window: the 15 newest training rows, from "
        "2024-03-26T00:00:00Z on, take its place"
    )
    assert windows.describe()["note"] == windows.note
    folds = fixed_folds(CUTOFFS, known, windows, labels=labels)
    np.testing.assert_array_equal(folds[-1][1], windows.tune)
    np.testing.assert_array_equal(before_gate(COLUMN, CUTOFFS, known, windows), windows.train)
    plain = fixed_windows(COLUMN, CUTOFFS, known, values=parts)
    assert (plain.note, len(plain.tune)) == ("", 20), "the label is a number"
    assert "note" not in plain.describe()


def test_the_newer_part_is_longer_where_its_newest_rows_have_one_class() -> None:
    parts = ["a"] * 100 + ["b"] * 50
    labels = np.where(np.arange(150) < 70, np.arange(150) % 2, 0).astype(float)
    windows = fixed_windows(COLUMN, CUTOFFS, CUTOFFS, values=parts, labels=labels)
    assert set(np.unique(labels[windows.tune])) == {0.0, 1.0}
    assert windows.tune.min() in (68, 69)


def test_a_gate_of_its_own_stays() -> None:
    labels = np.where((to_us("2024-03-01") <= CUTOFFS) & (to_us("2024-04-01") > CUTOFFS), 1, np.arange(150) % 2)
    windows = fixed_windows(DATES, CUTOFFS, CUTOFFS, labels=labels.astype(float))
    assert windows.gate_start_us == to_us("2024-04-01")
    assert CUTOFFS[windows.tune].max() < to_us("2024-03-01")
    assert windows.note


def test_training_rows_of_one_class_are_refused() -> None:
    parts = ["a"] * 100 + ["b"] * 50
    with pytest.raises(DataError, match="one class only in the train window"):
        fixed_windows(COLUMN, CUTOFFS, CUTOFFS, values=parts, labels=np.zeros(150))
