"""Divide a time limit among the steps of an evaluation: how many rows and candidates fit, and how long the search is.

A sample of the candidates is computed for a few rows. Its time says what all of them would cost: a part that does not
depend on the rows (each table is sorted and scanned once), and a part per row and candidate. Candidates are limited
first, then rows.

| step                           | share of what ingest leaves |
|--------------------------------|-----------------------------|
| synthesis of training rows     | 0.35                        |
| search                         | what the others leave       |
| fits and features of test rows | estimated from synthesis    |
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from headrace.evaluate.fixed_splits import TRAIN, TUNE, sampled_rows, window_of_rows
from headrace.lake.store import Snapshot
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import table_schemas
from headrace.pipeline.stages.used_rows import split_values
from headrace.synthesis.candidates.enumerate import enumerate_candidates
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine

#: Share of the time left that synthesis of the training rows may take, and the share of that for the rows.
_SYNTHESIS, _OF_ROWS = 0.35, 0.5
#: Candidates and rows of the sample, and the least numbers of either.
_SAMPLE, _SAMPLE_ROWS = 60, 500
_LEAST_CANDIDATES, _LEAST_ROWS = 60, 4_000
#: Rows that are computed before the sample, so that its times contain no loading of kernels and no first sorting.
_WARM_UP_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of one candidate: `fixed_s` whatever the rows, and `row_s` a row."""

    fixed_s: float
    row_s: float


def within_budget(context: Context, snapshot: Snapshot, until_us: int, seconds: float) -> Context:
    """Return the context with as many rows and candidates as fit; the same context where all do.

    Args:
        context: Of an evaluation whose ingest is done.
        snapshot: The history before the test window.
        until_us: Its end.
        seconds: Time that is left for everything.
    """
    problem = context.problem
    if problem.splits is None:
        return context
    begun = time.perf_counter()
    spine = build_spine(problem, snapshot, end_us=until_us, now_us=until_us, engine=context.engine)
    spine = spine.filter(spine["mature"])
    windows = window_of_rows(problem.splits, spine["cutoff"].to_numpy(), split_values(problem, spine))
    built_s = time.perf_counter() - begun
    definitions = enumerate_candidates(problem, table_schemas(problem, snapshot), snapshot).definitions
    sample = definitions[:: max(1, len(definitions) // _SAMPLE)]
    times = []
    for number in (_WARM_UP_ROWS, _SAMPLE_ROWS, 10 * _SAMPLE_ROWS):
        rows = np.flatnonzero(sampled_rows(windows, number) & np.isin(windows, (TRAIN, TUNE)))
        begun = time.perf_counter()
        feature_matrix(problem, sample, spine.take(pa.array(rows)), snapshot, context.engine)
        times.append((len(rows), time.perf_counter() - begun))
    pace = pace_of(times[1:], len(sample))
    seconds -= built_s + sum(taken for _, taken in times)
    sizes = [int((windows == one).sum()) for one in (TRAIN, TUNE)]
    candidates, rows_of_window = plan(pace, _SYNTHESIS * seconds, len(definitions), sizes)
    if candidates == len(definitions) and rows_of_window >= max(sizes):
        return context  # the same stages as without a limit
    context.progress.message(
        "synthesise", f"{candidates} of {len(definitions)} candidates, {rows_of_window} rows of a window at most"
    )
    most = min(rows_of_window, problem.splits.max_train_rows or rows_of_window)
    splits = replace(problem.splits, max_train_rows=most)
    limited = replace(problem, max_candidates=min(candidates, problem.max_candidates), splits=splits)
    return replace(context, problem=limited)


def pace_of(times: list[tuple[int, float]], candidates: int) -> Pace:
    """Fit the two parts of a time to two measurements (rows, seconds) of the same candidates."""
    (few, short), (many, long) = times
    if many <= few:  # all rows were in the first sample
        return Pace(fixed_s=min(short, long) / candidates, row_s=0.0)
    row_s = max(long - short, 0.0) / max(many - few, 1)
    return Pace(fixed_s=max(short - row_s * few, 0.0) / candidates, row_s=row_s / candidates)


def plan(pace: Pace, seconds: float, candidates: int, window_rows: list[int]) -> tuple[int, int]:
    """Choose how many candidates are computed, and for how many rows of a window, in so many seconds.

    Args:
        pace: Seconds of a candidate.
        seconds: For the training rows' synthesis.
        candidates: How many there are.
        window_rows: Rows of each window.

    Returns:
        Candidates, and rows of a window at most.
    """
    fixed = max(seconds, 0.0) * (1 - _OF_ROWS)
    chosen = candidates if pace.fixed_s <= 0 else int(min(candidates, fixed / pace.fixed_s))
    chosen = max(chosen, min(_LEAST_CANDIDATES, candidates))
    rows_s = max(seconds - chosen * pace.fixed_s, 0.0)
    total = rows_s / max(pace.row_s * chosen, 1e-12)
    small = sum(rows for rows in window_rows if rows <= total / 2)
    large = sum(rows > total / 2 for rows in window_rows)
    rows = max(window_rows) if not large else int((total - small) / large)
    return chosen, max(min(rows, max(window_rows)), _LEAST_ROWS)
