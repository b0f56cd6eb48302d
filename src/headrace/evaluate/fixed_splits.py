"""Windows that a user fixes: the window of each row, and train, tune and gate rows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import iso
from headrace.core.errors import DataError
from headrace.evaluate.splits import (
    Fold,
    Rows,
    Windows,
    check_windows,
    known_before_rows,
    newest_share,
    time_folds,
)
from headrace.schema.splits import WINDOWS, Splits

#: Window of a row whose column has a value that no window declares.
UNUSED = -1
TRAIN, TUNE, GATE, TEST = range(4)


def window_of_rows(splits: Splits, cutoffs_us: Rows, values: Sequence[object] | None = None) -> Rows:
    """Return the window of each row [n], as its position in `WINDOWS`; UNUSED where it has none.

    Args:
        splits: The declaration.
        cutoffs_us: Cutoff of each row [n], microseconds UTC.
        values: Values of the split column [n]; None where the windows are instants.
    """
    cutoffs = np.asarray(cutoffs_us, dtype=np.int64)
    if splits.column is None:
        windows = np.zeros(len(cutoffs), dtype=np.int64)
        for name, start_us in splits.starts_us.items():
            windows[cutoffs >= start_us] = WINDOWS.index(name)
        return windows
    if values is None:
        raise DataError("the rows have no split column", where=splits.column)
    numbers = {"train": splits.train, **splits.named}
    window_of_value = {value: WINDOWS.index(name) for name, value in numbers.items()}
    return np.array([window_of_value.get(str(value), UNUSED) for value in values], dtype=np.int64)


def holdout_start(splits: Splits, cutoffs_us: Rows, values: Sequence[object] | None = None) -> int | None:
    """Return the start of the test window (us): as declared, or the first cutoff of its rows. None: no test window.

    Raises:
        DataError: The split column names no row of the test window.
    """
    if splits.test is None:
        return None
    if splits.column is None:
        return splits.starts_us["test"]
    cutoffs = np.asarray(cutoffs_us)[window_of_rows(splits, cutoffs_us, values) == TEST]
    if not len(cutoffs):
        raise DataError(
            f"no row of the test window: {splits.column} is never {splits.test!r}",
            where="splits",
            found=list(dict.fromkeys(map(str, values or ())))[:10],
        )
    return int(cutoffs.min())


def fixed_windows(
    splits: Splits,
    cutoffs_us: Rows,
    label_known_us: Rows,
    *,
    values: Sequence[object] | None = None,
    labels: NDArray[np.float64] | None = None,
) -> Windows:
    """Split rows with a label into the declared windows train, tune and gate.

    Where the windows are instants, a row is used only if its label was known before the next window starts. Where a
    column names them, every row is used in the window that it names.

    Args:
        splits: The declaration.
        cutoffs_us: Cutoff of each row [n].
        label_known_us: When each label is known [n].
        values: Values of the split column [n].
        labels: Binary labels [n]; each window must contain both classes. None for a number. Where the tune window has
            one, the newest training rows take its place (`Windows.note`).

    Raises:
        DataError: A window has too few rows, or one class only.
    """
    cutoffs, known = np.asarray(cutoffs_us, np.int64), np.asarray(label_known_us, np.int64)
    windows = window_of_rows(splits, cutoffs, values)
    gate_window = GATE if splits.gate is not None else TUNE
    tune_start, gate_start = (_start(splits, cutoffs, windows, number) for number in (TUNE, gate_window))
    usable = np.ones(len(cutoffs), dtype=np.bool_)
    if splits.column is None:
        usable &= ~((windows == TRAIN) & (known >= tune_start))
        usable &= ~((windows == TUNE) & (known >= gate_start)) | (gate_window == TUNE)
    used = np.isin(windows, (TRAIN, TUNE, gate_window))
    result = Windows(
        train=np.flatnonzero(usable & (windows == TRAIN)),
        tune=np.flatnonzero(usable & (windows == TUNE)),
        gate=np.flatnonzero(usable & (windows == gate_window)),
        start_us=int(cutoffs[used].min(initial=tune_start)),
        tune_start_us=tune_start,
        gate_start_us=gate_start,
        end_us=int(cutoffs[used].max(initial=gate_start)) + 1,
        purged=int((used & ~usable).sum()),
        immature=0,
    )
    result = _with_two_classes(splits, cutoffs, known, result, labels)
    check_windows(result, labels)
    return result


def _with_two_classes(
    splits: Splits, cutoffs: Rows, known: Rows, windows: Windows, labels: NDArray[np.float64] | None
) -> Windows:
    """Take the newest training rows as the tune window where the declared one has one class, which chooses nothing.

    The rows of the declared window stay out of the search; the chosen recipe is fitted on them too in the end.
    """
    if labels is None or not len(windows.tune) or len(classes := np.unique(labels[windows.tune])) > 1:
        return windows
    parts = newest_share(cutoffs, known, windows.train, labels) if len(windows.train) else None
    if parts is None:
        return windows
    train, tune, start_us = parts
    note = (
        f"the label is {classes[0]:g} in all {len(windows.tune)} rows of the declared tune window: the {len(tune)} "
        f"newest training rows, from {iso(start_us)} on, take its place"
    )
    moved = replace(windows, train=train, tune=tune, tune_start_us=start_us, note=note)
    return replace(moved, gate=tune, gate_start_us=start_us) if splits.gate is None else moved


def before_gate(splits: Splits, cutoffs_us: Rows, label_known_us: Rows, windows: Windows) -> Rows:
    """Return the rows that a model may learn from before it is measured on the gate window."""
    if splits.column is None:
        return known_before_rows(cutoffs_us, label_known_us, windows.gate_start_us)
    return windows.train if splits.gate is None else np.sort(np.concatenate([windows.train, windows.tune]))


def fixed_folds(
    cutoffs_us: Rows, label_known_us: Rows, windows: Windows, *, labels: NDArray[np.float64] | None = None
) -> tuple[Fold, ...]:
    """Build expanding folds where the train window ends before the tune window, else the one fold (train, tune)."""
    if np.asarray(cutoffs_us)[windows.train].max() < windows.tune_start_us:
        return time_folds(cutoffs_us, label_known_us, windows, labels=labels)
    return ((windows.train, windows.tune),)


def sampled_rows(windows: Rows, most: int | None, seed: int = 0) -> NDArray[np.bool_]:
    """Return which rows remain [n]: of the windows train and tune at most `most` each, drawn at random; else all."""
    remain = np.ones(len(windows), dtype=np.bool_)
    for window in (TRAIN, TUNE):
        rows = np.flatnonzero(windows == window)
        if most is not None and len(rows) > most:
            remain[rows] = False
            remain[np.random.default_rng(seed).choice(rows, most, replace=False)] = True
    return remain


def _start(splits: Splits, cutoffs: Rows, windows: Rows, number: int) -> int:
    name = WINDOWS[number]
    if splits.column is None:
        return splits.starts_us[name]
    of_window = cutoffs[windows == number]
    if not len(of_window):
        raise DataError(f"no row of the {name} window: {splits.column} is never {splits.named[name]!r}", where="splits")
    return int(of_window.min())
