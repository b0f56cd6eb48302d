"""Windows are cut by time and purged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR, NEVER
from headrace.core.errors import DataError
from headrace.evaluate.splits import time_folds, time_windows


def _rows(n: int, days: int, delay_us: int = 3 * HOUR) -> tuple[np.ndarray, np.ndarray]:
    cutoffs = np.linspace(0, days * DAY - 1, n).astype(np.int64) + 15_000 * DAY
    return cutoffs, cutoffs + delay_us


def test_shares_are_cut_at_midnight() -> None:
    cutoffs, known = _rows(12_000, 120)
    windows = time_windows(cutoffs, known, 16_000 * DAY)
    assert windows.tune_start_us % DAY == 0
    assert windows.gate_start_us % DAY == 0
    assert abs(len(windows.gate) / 12_000 - 0.10) < 0.01
    assert abs(len(windows.tune) / 12_000 - 0.15) < 0.01
    assert (cutoffs[windows.gate] >= windows.gate_start_us).all()


def test_a_label_known_after_the_next_window_starts_is_purged() -> None:
    cutoffs, known = _rows(2_000, 100, delay_us=5 * DAY)
    windows = time_windows(cutoffs, known, 16_000 * DAY)
    assert windows.purged == len(cutoffs) - len(windows.train) - len(windows.tune) - len(windows.gate) > 0
    assert known[windows.train].max() < cutoffs[windows.tune].min()
    assert known[windows.tune].max() < cutoffs[windows.gate].min()
    assert cutoffs[windows.train].max() < windows.tune_start_us - 4 * DAY


@given(
    n=st.integers(100, 700),
    days=st.integers(1, 60),
    delay_h=st.integers(1, 12),
    seed=st.integers(0, 10_000),
)
def test_windows_never_overlap_or_leak(n: int, days: int, delay_h: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cutoffs = rng.integers(0, days * DAY, n)
    known = cutoffs + rng.integers(0, delay_h * HOUR, n)
    now = days * DAY
    try:
        windows = time_windows(cutoffs, known, now)
    except DataError:
        return
    together = np.concatenate([windows.train, windows.tune, windows.gate])
    assert len(set(together.tolist())) == len(together)
    assert (known[together] < now).all()
    assert known[windows.train].max() < cutoffs[windows.tune].min()
    assert known[windows.tune].max() < cutoffs[windows.gate].min()
    assert windows.immature == int((known >= now).sum())
    assert windows.purged + windows.immature + len(together) == n


def test_six_hundred_rows_within_three_days() -> None:
    cutoffs, known = _rows(600, 3, delay_us=HOUR)
    windows = time_windows(cutoffs, known, 16_000 * DAY)
    assert 40 <= len(windows.gate) <= 80
    assert 60 <= len(windows.tune) <= 120


def test_labels_that_never_come_are_in_no_window() -> None:
    cutoffs, known = _rows(600, 60)
    known[::7] = NEVER
    windows = time_windows(cutoffs, known, 16_000 * DAY)
    assert windows.immature == len(known[::7])
    assert not set(range(0, 600, 7)) & set(np.concatenate([windows.train, windows.tune, windows.gate]).tolist())


def test_too_few_rows_are_refused() -> None:
    cutoffs, known = _rows(20, 20)
    with pytest.raises(DataError, match="20 rows have a mature label, too few"):
        time_windows(cutoffs, known, 16_000 * DAY)


def test_one_instant_is_refused() -> None:
    cutoffs = np.full(500, 15_000 * DAY)
    with pytest.raises(DataError, match="only 1 different cutoff times"):
        time_windows(cutoffs, cutoffs + 1, 16_000 * DAY)


def test_a_label_known_after_everything_is_told_as_purged() -> None:
    cutoffs, known = _rows(600, 60, delay_us=300 * DAY)
    with pytest.raises(DataError, match=r"train window has 0 rows .* purged"):
        time_windows(cutoffs, known, 16_000 * DAY)


def test_one_class_in_a_window_is_refused() -> None:
    cutoffs, known = _rows(600, 60)
    labels = (np.arange(600) % 3 == 0).astype(float)
    labels[-80:] = 0.0
    with pytest.raises(DataError, match="one class only in the gate window"):
        time_windows(cutoffs, known, 16_000 * DAY, labels=labels)


@given(n=st.integers(200, 900), days=st.integers(12, 90), delay_h=st.integers(1, 60), seed=st.integers(0, 10_000))
def test_folds_never_learn_from_what_was_not_known(n: int, days: int, delay_h: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cutoffs = rng.integers(0, days * DAY, n)
    known = cutoffs + rng.integers(0, delay_h * HOUR, n)
    try:
        windows = time_windows(cutoffs, known, days * DAY)
    except DataError:
        return
    folds = time_folds(cutoffs, known, windows)
    assert folds[-1] == (windows.train, windows.tune)
    ends = [*(int(cutoffs[judged].min()) for _, judged in folds[1:]), windows.gate_start_us]
    for (taught, judged), end in zip(folds, ends, strict=True):
        assert known[taught].max() < cutoffs[judged].min()
        assert cutoffs[judged].max() < end
        assert known[judged].max() < windows.gate_start_us
    sizes = [len(taught) for taught, _ in folds]
    assert sizes == sorted(sizes)


def test_a_small_problem_has_four_folds_and_a_large_one_one() -> None:
    for n, count in ((2_000, 4), (15_000, 4), (25_000, 2), (80_000, 1)):
        cutoffs, known = _rows(n, 100)
        windows = time_windows(cutoffs, known, 16_000 * DAY)
        folds = time_folds(cutoffs, known, windows)
        assert len(folds) == count
        tuned = [len(judged) for _, judged in folds]
        assert max(tuned) < 1.2 * min(tuned)
        assert len(folds[0][0]) > 0.27 * n


def test_a_fold_of_one_class_is_left_out() -> None:
    cutoffs, known = _rows(2_000, 100)
    labels = (np.arange(2_000) % 3 == 0).astype(float)
    labels[1_180:1_520] = 0.0
    windows = time_windows(cutoffs, known, 16_000 * DAY)
    assert len(time_folds(cutoffs, known, windows)) == 4
    assert len(time_folds(cutoffs, known, windows, labels=labels)) == 3


def test_larger_shares_are_larger_windows() -> None:
    cutoffs, known = _rows(2_000, 100)
    windows = time_windows(cutoffs, known, 16_000 * DAY, tune_share=0.3, gate_share=0.2)
    assert abs(len(windows.gate) / 2_000 - 0.2) < 0.02
    assert abs(len(windows.tune) / 2_000 - 0.3) < 0.02
    assert len(time_folds(cutoffs, known, windows)) == 1, "one before it would learn from less than a third"
