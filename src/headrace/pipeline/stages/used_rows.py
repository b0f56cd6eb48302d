"""The rows of a spine that the windows train, tune and gate use, where a user fixes these windows."""

from __future__ import annotations

import pyarrow as pa

from headrace.evaluate.fixed_splits import TEST, UNUSED, sampled_rows, window_of_rows
from headrace.schema import Problem


def split_values(problem: Problem, spine: pa.Table) -> list[object] | None:
    """The values of the problem's split column [n]; None where no column names the windows."""
    if problem.splits is None or problem.splits.column is None:
        return None
    values: list[object] = spine[problem.splits.column].to_pylist()
    return values


def used_rows(problem: Problem, spine: pa.Table) -> pa.Table:
    """Leave out rows of the test window, of no window, and those beyond the declared number of training rows.

    Args:
        problem: The declaration; without `splits`, all rows are used.
        spine: Rows with `cutoff` [n].
    """
    if problem.splits is None:
        return spine
    windows = window_of_rows(problem.splits, spine["cutoff"].to_numpy(), split_values(problem, spine))
    used = (windows != TEST) & (windows != UNUSED) & sampled_rows(windows, problem.splits.max_train_rows)
    return spine.filter(pa.array(used))
