"""Measure a task whose label is one of several classes, or a set of labels, on its test window.

Candidates are synthesised as for any problem, from the class's position or the number of true labels. Which of them are
used, and the model, follow from the classes themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.clock import iso
from headrace.core.errors import DataError
from headrace.evaluate.class_metrics import class_metrics, label_metrics
from headrace.evaluate.fixed_splits import TRAIN, TUNE, window_of_rows
from headrace.lake.store import Lake, Snapshot
from headrace.models.classes import ClassModel, fit_classes, rank_features
from headrace.models.design import Encoder
from headrace.pipeline.context import Context
from headrace.pipeline.holdout.budget import within_budget
from headrace.pipeline.holdout.protocols import HoldoutReport, ProtocolResult, holdout_spine
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.production.offline_scoring import frozen_at
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.used_rows import split_values
from headrace.pipeline.walker import PipelineRun
from headrace.problems.relbench.task_rows import ROW, TaskRows
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.matrix.matrix import feature_matrix

Floats = NDArray[np.float64]
#: Test rows whose features are in memory at once.
_CHUNK = 200_000


@dataclass(frozen=True, kw_only=True)
class ClassHoldout:
    """report: for people. predictions: keys, cutoff, and under each protocol the probabilities of the classes [n]."""

    report: HoldoutReport
    classes: tuple[str, ...]
    predictions: pa.Table


def measure_classes(context: Context, *, minutes: float | None = None) -> ClassHoldout:
    """Train on the windows before the test window, and measure on it under both protocols.

    Args:
        context: Of the run, of a problem whose spine's rows are those of a RelBench task on classes or sets of labels.
        minutes: Time for everything; with little of it, fewer candidates and rows are used.

    Raises:
        DataError: No candidate has a gain, or the test window has no row.
    """
    problem, begun = context.problem, time.perf_counter()
    source = problem.spine_table.source
    assert isinstance(source, TaskRows)  # what `class_problem` declares
    exclusive, truth = source.labels == "class", source.truth()
    run = PipelineRun(context, (INGEST, SYNTHESISE))
    run.run_stage(INGEST.name)
    until, lake = run.output(INGEST).until_us, Lake(context.root, problem.name)
    if minutes is not None:
        left = 60 * minutes - (time.perf_counter() - begun)
        context = within_budget(context, lake.snapshot(until), until, left)
        problem, run = context.problem, PipelineRun(context, (INGEST, SYNTHESISE))
    run.walk()
    synthesised_s = time.perf_counter() - begun
    spine = parquet.read(run.path(SYNTHESISE, SPINE))
    assert problem.splits is not None
    windows = window_of_rows(problem.splits, spine["cutoff"].to_numpy(), split_values(problem, spine))
    train, tune = np.flatnonzero(windows == TRAIN), np.flatnonzero(windows == TUNE)
    of_training = truth[spine[ROW].to_numpy()]
    definitions = read_definitions(run.path(SYNTHESISE, DEFINITIONS))
    candidates = Candidates(run.path(SYNTHESISE, SPINE).parent).table()
    chosen = _selected(context, candidates, definitions, of_training, exclusive=exclusive)
    matrix = candidates.select([item.slug for item in chosen])
    encoder = Encoder.fit(matrix)
    model = fit_classes(encoder.encode(matrix), of_training, train, tune, exclusive=exclusive, seed=context.seed,
                        threads=context.workers)  # fmt: skip
    fitted_s = time.perf_counter() - begun - synthesised_s
    snapshot = lake.snapshot()
    asked = holdout_spine(context, snapshot, until)
    predicted = {
        "fresh": _predict(context, model, encoder, chosen, asked, snapshot),
        "frozen": _predict(context, model, encoder, chosen, frozen_at(asked, until, problem.tick_us), snapshot),
    }
    of_test = truth[asked[ROW].to_numpy()]
    constant = np.tile(of_training.mean(axis=0), (len(of_test), 1))
    report = HoldoutReport(
        problem=problem.name,
        label=source.target[0],
        metric="accuracy" if exclusive else "macro_average_precision",
        test_from=iso(until),
        protocols=tuple(_result(name, of_test, values, exclusive=exclusive) for name, values in predicted.items()),
        constant=_result("constant", of_test, constant, exclusive=exclusive).metrics,
        train_rows=len(of_training),
        features=len(chosen),
        family=f"lightgbm, {len(source.classes)} classes",
        metrics={},
        seconds={"synthesise": synthesised_s, "fit": fitted_s,
                 "test": time.perf_counter() - begun - synthesised_s - fitted_s},
        notes=run.output(SYNTHESISE).warnings,
    )  # fmt: skip
    return ClassHoldout(report=report, classes=source.classes, predictions=_table(asked, predicted))


def _selected(
    context: Context, candidates: pa.Table, definitions: tuple[Definition, ...], truth: Floats, *, exclusive: bool
) -> tuple[Definition, ...]:
    design = Encoder.fit(candidates).encode(candidates)
    best = rank_features(
        design, truth, np.arange(len(truth)), exclusive=exclusive, seed=context.seed, threads=context.workers
    )
    names = [design.names[position] for position in best[: context.problem.max_features]]
    if not names:
        raise DataError("no candidate feature has a gain", where=context.problem.name)
    return tuple(item for item in definitions if item.slug in set(names))


def _predict(
    context: Context, model: ClassModel, encoder: Encoder, definitions: tuple[Definition, ...], spine: pa.Table,
    snapshot: Snapshot,
) -> Floats:  # fmt: skip
    def parts() -> Iterator[Floats]:
        for start in range(0, spine.num_rows, _CHUNK):
            rows = spine.slice(start, _CHUNK)
            matrix = feature_matrix(context.problem, definitions, rows, snapshot, context.engine)
            yield model.predict(encoder.encode(matrix), threads=context.workers)

    return np.concatenate(list(parts()))


def _result(protocol: str, truth: Floats, probabilities: Floats, *, exclusive: bool) -> ProtocolResult:
    known = np.isfinite(truth).all(axis=1)
    measure = class_metrics if exclusive else label_metrics
    metrics = measure(truth[known], probabilities[known]) if known.any() else {}
    return ProtocolResult(protocol=protocol, rows=len(truth), labelled=int(known.sum()), metrics=metrics)


def _table(spine: pa.Table, predicted: dict[str, Floats]) -> pa.Table:
    cutoffs = spine["cutoff"].cast(pa.timestamp("us", tz="UTC"))
    columns = {name: pa.array(list(values), pa.list_(pa.float64())) for name, values in predicted.items()}
    return pa.table({ROW: spine[ROW], "cutoff": cutoffs, **columns})
