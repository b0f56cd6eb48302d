"""Measure a problem on its test window: train on what was known before, and score under two protocols.

| protocol | features of a test row see                                                               |
|----------|------------------------------------------------------------------------------------------|
| fresh    | everything known before the row's own cutoff, as in production                            |
| frozen   | everything known before the test window begins (RelBench: Robinson et al., NeurIPS 2024)  |

Labels of the test window take part in neither training, selection nor search. Under `fresh`, labels that have become
known before a later test row's cutoff are history for that row, as in production.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.clock import DAY, NEVER, iso
from headrace.core.errors import DeclarationError
from headrace.evaluate.fixed_splits import TEST, window_of_rows
from headrace.evaluate.metrics import METRICS, Metric, metrics_beside
from headrace.lake.store import Lake, Snapshot
from headrace.models.bundle import Bundle
from headrace.pipeline.catalogue import EVALUATION_STAGES
from headrace.pipeline.context import Context
from headrace.pipeline.holdout.budget import within_budget
from headrace.pipeline.production.offline_scoring import frozen_at, predict_spine
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.refit import BUNDLE, REFIT
from headrace.pipeline.stages.search import SEARCH
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.used_rows import split_values
from headrace.pipeline.walker import PipelineRun
from headrace.schema import Problem
from headrace.search.study.study import StudyOutOfTime
from headrace.synthesis.spine.build import build_spine

_SECOND = "frozen: by a second model, trained on features as old as those of the test rows"
#: Least time of a search of several trials (s), and the share of a time limit that is spent when it ends: fits and
#: predictions follow.
_LEAST_SEARCH_S, _SEARCH_SHARE = 15.0, 0.75


@dataclass(frozen=True, kw_only=True)
class ProtocolResult:
    """Metrics under one protocol. rows: predicted; labelled: of them with a label. metrics: by name; empty without."""

    protocol: str
    rows: int
    labelled: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class HoldoutReport:
    """The result on the test window.

    Attributes:
        problem: Its name.
        label: As declared.
        metric: The problem's metric.
        test_from: Start of the test window.
        protocols: Results, `fresh` first.
        constant: The same metrics of the best constant of the training labels.
        train_rows: Rows that the model was fitted on.
        features: Features of the model.
        family: Of the model.
        metrics: `tune_<metric>` and `gate_<metric>` of the search.
        seconds: Wall clock by stage, and `test` for the features and predictions of both protocols.
        notes: Warnings about declaration and data.
    """

    problem: str
    label: str
    metric: str
    test_from: str
    protocols: tuple[ProtocolResult, ...]
    constant: Mapping[str, float]
    train_rows: int
    features: int
    family: str
    metrics: Mapping[str, float]
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def rows(self) -> list[tuple[str, ...]]:
        """(metric, value under each protocol, value of the constant), the problem's own metric first."""
        names = sorted(self.protocols[0].metrics, key=lambda name: name != self.metric)
        results = [*(one.metrics for one in self.protocols), self.constant]
        return [(name, *(f"{values[name]:.4f}" if name in values else "-" for values in results)) for name in names]

    def facts(self) -> dict[str, str]:
        """What the model is, for people."""
        searched = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        taken = ", ".join(f"{name} {value:.0f} s" for name, value in self.seconds.items() if value >= 0.5)
        return {
            "label": self.label,
            "model": f"{self.family} with {self.features} features, fitted on {self.train_rows} rows",
            "before the test window": searched,
            "wall clock": taken or "below 1 s",
        }


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """report: for people. predictions: key, cutoff, label and a column for each protocol [n], by cutoff."""

    report: HoldoutReport
    predictions: pa.Table


def measure_holdout(context: Context, *, minutes: float | None = None, frozen_model: bool = False) -> Holdout:
    """Train on the windows before the test window, and measure on it under both protocols.

    Args:
        context: Of the run.
        minutes: Time for everything; the search gets what synthesis leaves of it, and has one trial where that is
            nothing.
        frozen_model: Whether a second model answers under `frozen`, trained on features as old as frozen ones are;
            where all test rows have one cutoff, there is only one model.

    Raises:
        DeclarationError: The problem declares no test window.
        DataError: The test window has no row.
    """
    problem = context.problem
    if problem.splits is None or problem.splits.test is None:
        raise DeclarationError(
            "no test window",
            where=problem.name,
            fix='declare splits=Splits(tune="2024-03-01", test="2024-05-01"), or a column that names the windows',
        )
    half = minutes / 2 if minutes is not None and frozen_model else minutes
    run, seconds = _trained(context, half)
    bundle, until = Bundle.load(run.path(REFIT, BUNDLE)), run.output(INGEST).until_us
    begun = time.perf_counter()
    snapshot = Lake(context.root, problem.name).snapshot()
    spine = holdout_spine(context, snapshot, until)
    oldest_us = int(spine["cutoff"].to_numpy().max(initial=until)) - until
    second = frozen_model and oldest_us > 0
    bundle_of_frozen = _frozen_bundle(context, oldest_us, half) if second else bundle
    predicted = {
        "fresh": predict_spine(problem, bundle, spine, snapshot, context.engine, threads=context.workers),
        "frozen": _frozen(context, bundle_of_frozen, spine, snapshot, until),
    }
    training = parquet.read(run.path(SYNTHESISE, SPINE), columns=["label"])["label"].to_numpy()
    label = spine["label"].to_numpy(zero_copy_only=False).astype(np.float64)
    constant = np.full(spine.num_rows, METRICS[problem.metric].constant(training))
    report = HoldoutReport(
        problem=problem.name,
        label=str(problem.label),
        metric=problem.metric,
        test_from=iso(until),
        protocols=tuple(_result(problem, name, label, values) for name, values in predicted.items()),
        constant=_result(problem, "constant", label, constant).metrics,
        train_rows=len(training),
        features=len(bundle.definitions),
        family=_form(bundle),
        metrics=bundle.metrics,
        seconds={**seconds, "test": time.perf_counter() - begun},
        notes=(*run.output(SYNTHESISE).warnings, *_notes(bundle), *((_SECOND,) if second else ())),
    )
    return Holdout(report=report, predictions=_prediction_table(problem, spine, predicted))


def _notes(bundle: Bundle) -> tuple[str, ...]:
    """How the windows of a model differ from the declared ones."""
    return tuple(str(text) for text in (bundle.windows.get("note"),) if text)


def _form(bundle: Bundle) -> str:
    """The family of a model, for people."""
    return f"{bundle.family} in two parts" if bundle.facts["recipe"].get("parts") else bundle.family


def holdout_spine(context: Context, snapshot: Snapshot, start_us: int) -> pa.Table:
    """Build the rows of the test window [n], with their labels where they are known, sorted by cutoff."""
    problem = context.problem
    assert problem.splits is not None
    spine = build_spine(problem, snapshot, start_us=start_us, now_us=NEVER - 1, engine=context.engine)
    windows = window_of_rows(problem.splits, spine["cutoff"].to_numpy(), split_values(problem, spine))
    return spine.filter(pa.array(windows == TEST))


def _trained(context: Context, minutes: float | None) -> tuple[PipelineRun, dict[str, float]]:
    """Run the stages up to the model; the search gets what the stages before it leave of the time.

    Where that is too little for a single trial, the first default configuration is the model's.
    """
    started = time.perf_counter()
    run = PipelineRun(context, EVALUATION_STAGES)
    seconds: dict[str, float] = {}
    context.progress.run_started(run.stage_names)
    for name in run.stage_names:
        spent = time.perf_counter() - started
        if name == SYNTHESISE.name and minutes is not None:
            until = run.output(INGEST).until_us
            snapshot = Lake(context.root, context.problem.name).snapshot(until)
            context = within_budget(context, snapshot, until, 60 * minutes - spent)
            run = PipelineRun(context, EVALUATION_STAGES)
        if name == SEARCH.name and minutes is not None:
            left = 60 * minutes * _SEARCH_SHARE - spent - _test_share(context) * seconds[SYNTHESISE.name]
            run = PipelineRun(_with_search(context, left), EVALUATION_STAGES)
        context.progress.stage_started(name)
        try:
            report = run.run_stage(name)
        except StudyOutOfTime:
            run = PipelineRun(_with_search(context, 0.0), EVALUATION_STAGES)
            report = run.run_stage(name)
        context.progress.stage_finished(name, report.seconds, report.state)
        seconds[name] = report.seconds
    return run, seconds


def _test_share(context: Context) -> float:
    """Time of the test rows' features under both protocols, as a share of the synthesis of all candidates."""
    return 2 * min(context.problem.max_features / max(context.problem.max_candidates, 1), 1.0)


def _with_search(context: Context, seconds: float) -> Context:
    """The context with a search of this length (s); of one trial, without a limit, where that is too short."""
    problem = context.problem
    if seconds < _LEAST_SEARCH_S:
        return replace(context, trials=1, problem=replace(problem, search_seconds=None))
    return replace(context, problem=replace(problem, search_seconds=min(seconds, problem.search_seconds or seconds)))


def _frozen_bundle(context: Context, oldest_us: int, minutes: float | None) -> Bundle:
    """Train on features as old as those of test rows under `frozen` (`Problem.staleness`), at most `oldest_us`."""
    staleness = f"{math.ceil(oldest_us / DAY)}d"
    run, _ = _trained(replace(context, problem=replace(context.problem, staleness=staleness)), minutes)
    return Bundle.load(run.path(REFIT, BUNDLE))


def _frozen(
    context: Context, bundle: Bundle, spine: pa.Table, snapshot: Snapshot, until_us: int
) -> NDArray[np.float64]:
    frozen = frozen_at(spine, until_us, context.problem.tick_us)
    return predict_spine(context.problem, bundle, frozen, snapshot, context.engine, threads=context.workers)


def _result(
    problem: Problem, protocol: str, label: NDArray[np.float64], predicted: NDArray[np.float64]
) -> ProtocolResult:
    labelled = np.isfinite(label)
    values = {}
    for name, metric in metrics_beside(problem.metric, label[labelled]).items():
        value = _value(metric, label[labelled], predicted[labelled]) if labelled.any() else None
        values.update({} if value is None else {name: value})
    return ProtocolResult(protocol=protocol, rows=len(label), labelled=int(labelled.sum()), metrics=values)


def _value(metric: Metric, label: NDArray[np.float64], predicted: NDArray[np.float64]) -> float | None:
    """The metric; None where these labels do not define it."""
    if metric.ranks and len(np.unique(label)) < 2:
        return None
    return metric.value(label, predicted)


def _prediction_table(problem: Problem, spine: pa.Table, predicted: Mapping[str, NDArray[np.float64]]) -> pa.Table:
    names = dict.fromkeys((*problem.spine_table.keys, *problem.join_keys))
    cutoffs = spine["cutoff"].cast(pa.timestamp("us", tz="UTC"))
    columns = {name: spine[name] for name in names}
    return pa.table({**columns, "cutoff": cutoffs, "label": spine["label"], **predicted})


def write_predictions(table: pa.Table, path: Path) -> None:
    """Write a table as CSV or Parquet, by the file's name.

    Raises:
        DeclarationError: The name ends in neither.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write(table, path)
    elif path.suffix == ".csv":
        from pyarrow import csv

        csv.write_csv(table, path)
    else:
        raise DeclarationError(f"{path.name!r} is neither .parquet nor .csv", where="--out")
