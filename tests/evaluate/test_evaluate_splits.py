"""Windows are cut by time and purged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR, NEVER
from headrace.core.errors import DataError
from headrace.evaluate.splits import time_windows


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
