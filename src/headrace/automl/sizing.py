"""Choose folds, sampled rows and reserves of time from the size of a table and the budget; pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

#: Rows that a second of budget can use, and rows that are always used.
_ROWS_PER_SECOND, _LEAST_ROWS = 3_000, 20_000
#: Cells (rows x columns) per second of budget below which there are more folds than five, and above which fewer.
_EIGHT_FOLDS, _THREE_FOLDS, _ONE_FOLD = 250, 20_000, 80_000
#: Fewest rows for eight folds.
_EIGHT_FOLDS_ROWS = 400
#: Rows of each class that a sample has at least, where there are so many.
_LEAST_OF_CLASS = 50
#: Share of the budget after which the boosting of one trial ends, and after which any trial is killed.
_TRIAL_SHARE, _KILL_SHARE = 0.3, 0.6
_REFIT_SHARE = 0.15
#: What the end, the second level, and models of all rows beside bags take: a share of a short budget; of a long one (s,
#: share).
_FINAL_SHARE, _FINAL_LONG = 0.04, (9.0, 0.01)
_STACK_SHARE, _STACK_LONG = 0.1, (21.0, 0.03)
_BESIDE_SHARE, _BESIDE_LONG = 0.08, (9.0, 0.02)

#: Whether members are fitted on all rows at the end: no, instead of the models of the folds, or beside them.
Refit = Literal["no", "instead", "beside"]


@dataclass(frozen=True, kw_only=True)
class Times:
    """The division of a time budget, s.

    Attributes:
        search: Of the search.
        trial: Of the boosting of one trial.
        kill: After which a trial is killed.
        refit: Of fits on all rows at the end.
        stack: Of the second level.
    """

    search: float
    trial: float
    kill: float
    refit: float
    stack: float


def row_limit(seconds: float | None) -> int | None:
    """Return the largest number of rows to train on; None for no limit."""
    return None if seconds is None else max(_LEAST_ROWS, round(seconds * _ROWS_PER_SECOND))


def sampled_rows(n_rows: int, limit: int | None, seed: int, classes: NDArray[Any] | None = None) -> NDArray[np.int64]:
    """Return the rows to train on, in their order: all, or a random sample of `limit`.

    Args:
        n_rows: Number of rows.
        limit: Most rows; None for all of them.
        seed: Of the sample.
        classes: Class of each row [n]; the sample has more rows of a class that would have few, or none.
    """
    if limit is None or n_rows <= limit:
        return np.arange(n_rows)
    shuffled = np.random.default_rng(seed).permutation(n_rows)
    chosen = np.zeros(n_rows, dtype=np.bool_)
    chosen[shuffled[:limit]] = True
    if classes is not None:
        by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
        _, starts = np.unique(classes[by_class], return_index=True)
        place = np.arange(n_rows) - np.repeat(starts, np.diff([*starts, n_rows]))  # within the class
        chosen[by_class[place < _LEAST_OF_CLASS]] = True
    return np.flatnonzero(chosen)


def fold_count(n_rows: int, n_columns: int, seconds: float | None) -> int:
    """Return the number of folds: five; eight for a small table in a large budget, fewer where it is the reverse.

    With more folds each model of a bag learns from more of the rows, which matters where rows are few.
    """
    if seconds is None:
        return 5
    cells_per_second = n_rows * n_columns / seconds
    if cells_per_second < _EIGHT_FOLDS and n_rows >= _EIGHT_FOLDS_ROWS:
        return 8
    return 1 if cells_per_second > _ONE_FOLD else 3 if cells_per_second > _THREE_FOLDS else 5


def divide(seconds: float | None, elapsed: float, *, refit: Refit, stack: bool = False) -> Times:
    """Divide a time budget.

    Args:
        seconds: The budget, None for no limit.
        elapsed: Time that has passed.
        refit: Whether members are fitted on all rows at the end.
        stack: Whether a second level is fitted.
    """
    if seconds is None:
        return Times(search=math.inf, trial=math.inf, kill=math.inf, refit=math.inf, stack=math.inf)
    final = max(0.5, _reserve(seconds, _FINAL_SHARE, _FINAL_LONG))
    refit_s = _REFIT_SHARE * seconds if refit == "instead" else 0.0
    if refit == "beside":
        refit_s = _reserve(seconds, _BESIDE_SHARE, _BESIDE_LONG)
    stack_s = _reserve(seconds, _STACK_SHARE, _STACK_LONG) if stack else 0.0
    search = max(0.5, seconds - elapsed - final - refit_s - stack_s)
    return Times(search=search, trial=_TRIAL_SHARE * seconds, kill=_KILL_SHARE * seconds, refit=refit_s, stack=stack_s)


def _reserve(seconds: float, share: float, long: tuple[float, float]) -> float:
    """Return what is set aside of a budget, s: a share; less of a long one, or most of it would never be used."""
    return min(share * seconds, long[0] + long[1] * seconds)
