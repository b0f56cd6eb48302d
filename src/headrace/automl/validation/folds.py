"""Folds of rows to train and validate on: random and stratified, by group, or expanding in time."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.automl.task.task import Floats, Task
from headrace.automl.validation.guess import Mode
from headrace.core.errors import DataError

RowIndex = NDArray[np.int64]
#: The earliest rows, which no fold of "time" validates.
_FIRST_SHARE = 0.5
_MAX_TIME_FOLDS = 3
_HOLDOUT_SHARE = 0.2
#: Least share of the rows that a fold of "time" trains on, and that it validates.
_LEAST_PART = 0.05
#: Weight of a row of a fold of "time" over that of the one before: the rows to predict are more like the later ones.
_LATER_FOLD = 2.0


@dataclass(frozen=True, kw_only=True)
class TableFold:
    """Rows to train on and rows to validate on.

    Attributes:
        train: Positions of the rows to train on.
        valid: Positions of the rows to validate on.
        weight: Weight of the validation rows in a loss.
    """

    train: RowIndex
    valid: RowIndex
    weight: float = 1.0


def make_folds(
    mode: Mode, label: Floats, task: Task, *, count: int, seed: int, keys: NDArray[Any] | None = None
) -> tuple[TableFold, ...]:
    """Divide rows into folds.

    Args:
        mode: "random", "group" or "time".
        label: Labels [n].
        task: The task; random folds of classes are stratified.
        count: Number of folds; 1 for one holdout.
        seed: Of the shuffle.
        keys: Groups or times [n]; whole numbers.

    Raises:
        DataError: There are too few groups or times.
    """
    if mode == "time":
        return _time_folds(_required(keys), min(count, _MAX_TIME_FOLDS))
    if mode == "group":
        return _group_folds(label, task, _required(keys), count, seed)
    return _random_folds(label, task, count, seed)


def _required(keys: NDArray[Any] | None) -> NDArray[Any]:
    if keys is None:
        raise DataError("the groups or times are missing", where="validation")
    return keys


def _time_folds(times: NDArray[Any], count: int) -> tuple[TableFold, ...]:
    """Expanding windows: each fold trains on all rows before its validation rows; equal times are not separated.

    Where many rows have the same time, there are fewer folds.
    """
    instants, sizes = np.unique(times, return_counts=True)
    until, least = np.cumsum(sizes), _LEAST_PART * len(times)  # rows until each instant
    possible = np.flatnonzero((until >= least) & (len(times) - until >= least))
    if not len(possible):
        raise DataError("most rows have the same time", where="validation", fix="use validation='random'")
    shares = np.linspace(_FIRST_SHARE if count > 1 else 1 - _HOLDOUT_SHARE, 1.0, count + 1)[:-1]
    wanted = np.searchsorted(until[possible], shares * len(times) - 1e-9)
    starts, after = list[int](), len(times)
    for start in reversed(possible[np.minimum(wanted, len(possible) - 1)]):
        if after - until[start] >= least:
            starts.insert(0, int(start))
            after = int(until[start])
    ends = [*(instants[start] for start in starts[1:]), instants[-1]]
    return tuple(
        TableFold(
            train=np.flatnonzero(times <= instants[start]),
            valid=np.flatnonzero((times > instants[start]) & (times <= end)),
            weight=_LATER_FOLD**number,
        )
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def _group_folds(label: Floats, task: Task, groups: NDArray[Any], count: int, seed: int) -> tuple[TableFold, ...]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError("there is one group only", where="validation", fix="use validation='random'")
    parts = min(max(count, 2), n_groups)
    splitter: Any = StratifiedGroupKFold if task.classification else GroupKFold
    splits = _split(splitter(parts, shuffle=True, random_state=seed), label, groups)
    return splits[:1] if count == 1 else splits


def _random_folds(label: Floats, task: Task, count: int, seed: int) -> tuple[TableFold, ...]:
    from sklearn.model_selection import KFold, StratifiedKFold

    parts = count if count > 1 else round(1 / _HOLDOUT_SHARE)
    largest = np.unique(label, return_counts=True)[1].max() if task.classification else 0
    splitter: Any = StratifiedKFold if largest >= parts else KFold
    splits = _split(splitter(min(parts, len(label)), shuffle=True, random_state=seed), label)
    return splits[:1] if count == 1 else splits


def _split(splitter: Any, label: Floats, groups: Any = None) -> tuple[TableFold, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer rows than folds
        splits = list(splitter.split(np.zeros(len(label)), label, groups))
    return tuple(TableFold(train=train, valid=valid) for train, valid in splits if len(valid))
