"""Skew audit of a month of flights: features that were scored day by day, against the same recomputed at the end.

    make study-audit [QUICK=1]

January to April are history. The replayed feed then brings each day of May, and after each day the flights whose cutoff
fell due are scored through the feature store, from the lake as it is then, and logged, as `headrace advance` does. At
the end the audit recomputes every logged value from the whole lake, into which later batches have come, and compares
bits. A value is then changed by one bit in the log, which the audit must find. QUICK=1: three days.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from benchmarks.results import Goal, Row, publish
from headrace.app.context import context_of
from headrace.audit.skew import SkewReport, audit_skew
from headrace.audit.versions import Versions
from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.lake import feed
from headrace.lake.store import Lake
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.production.feed import feed_step
from headrace.pipeline.production.intake import ingest
from headrace.pipeline.production.scoring import _predict
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.store.publish import publish as publish_features
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.spine.build import build_spine

COMMAND = "make study-audit"
#: Features that are scored and audited: the first candidates of the flights.
FEATURES, VERSION = 400, "1"
#: Values of a month that must be compared.
MANY = 10_000_000
NOTE = (
    f"The first {FEATURES} candidate features of the flights, scored after each day of the replayed May from the lake"
    " as it was on that day, and recomputed at the end of the month. Then the last bit of one value in the log is"
    " changed, and the predictions of its day are audited again."
)


@dataclass(frozen=True)
class _Features:
    """What scoring and the audit need of a model: its features. It predicts nothing."""

    definitions: tuple[Definition, ...]
    service: str = "audited"

    def predict(self, matrix: pa.Table) -> np.ndarray:
        return np.full(matrix.num_rows, 0.5)

    def bundle(self, version: str) -> _Features:
        return self


def prepare(root: Path) -> tuple[Context, _Features]:
    """Load the history before May and publish the features."""
    context = context_of("flights", root)
    problem = context.problem
    start_us = cast(int, context.history_end_us)
    ingest(problem, root, feed.bootstrap(problem), arrival_us=BEFORE_ALL, bootstrap=True)
    lake = Lake(root, problem.name)
    lake.advance_clock(start_us)
    snapshot = lake.snapshot()
    schemas = {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}
    model = _Features(enumerate_definitions(problem, schemas)[:FEATURES])
    publish_features(root, problem, model.definitions, model.service)
    return context, model


def score(context: Context, model: _Features, days: int) -> int:
    """Replay days of the feed, score after each, and return the number of predictions."""
    problem, root, count = context.problem, context.root, 0
    lake, log = Lake(root, problem.name), PredictionLog(root, problem.name)
    for day in range(days):
        since_us = cast(int, lake.clock())
        feed_step(context)
        now_us = cast(int, lake.clock())
        snapshot = lake.snapshot()
        spine = build_spine(problem, snapshot, start_us=since_us, end_us=now_us, now_us=now_us, engine=context.engine)
        log.append(_predict(context, cast(Bundle, model), VERSION, spine, made_us=now_us))
        count += spine.num_rows
        print(f"day {day + 1}: {count:,} predictions", flush=True)
    log.close()
    return count


def audited(
    context: Context, model: _Features, since_us: int = BEFORE_ALL, until_us: int = NEVER
) -> tuple[SkewReport, float]:
    """Audit the predictions made in [since, until), in us, and return processor seconds too."""
    started = time.process_time()
    snapshot = Lake(context.root, context.problem.name).snapshot()
    with PredictionLog(context.root, context.problem.name) as log:
        report = audit_skew(
            context.problem, log, cast(Versions, model), snapshot, since_us=since_us, until_us=until_us, details=3
        )
    return report, time.process_time() - started


def change_one_bit(context: Context) -> tuple[Prediction, str]:
    """Change the last bit of one logged number; return the prediction and the feature's column."""
    with PredictionLog(context.root, context.problem.name) as log:
        first = next(iter(log.pages(BEFORE_ALL, 2**62, size=1)))[0]
        numbers = ((name, value) for name, value in first.features.items() if isinstance(value, float))
        slug, value = next(item for item in numbers if item[1])
        features: dict[str, Any] = {**first.features, slug: float(np.nextafter(value, np.inf))}
        changed: Prediction = replace(first, features=features)
        path = log.path
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM predictions WHERE id = ?", (first.id,))
    with PredictionLog(context.root, context.problem.name) as log:
        log.append([changed])
    return first, slug


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    with tempfile.TemporaryDirectory() as folder:
        context, model = prepare(Path(folder))
        started = time.process_time()
        predictions = score(context, model, 3 if quick else 31)
        scored_s = time.process_time() - started
        report, audit_s = audited(context, model)
        print(f"{report.values:,} values of {report.predictions:,} predictions: {report.different} differ", flush=True)
        changed, slug = change_one_bit(context)
        planted, _ = audited(context, model, changed.made_us, changed.made_us + 1)
    found = [(item.prediction, item.feature) for item in planted.differences]
    slugs = {item.name: item.slug for item in model.definitions}
    if report.predictions != predictions or [(one, slugs[name]) for one, name in found] != [(changed.id, slug)]:
        raise SystemExit(f"{report.predictions} of {predictions} predictions compared; planted: {found}")
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    publish("audit", "Skew audit of a month of flights", [
        Row(metric="values compared", value=report.values, unit="", goal=None if quick else Goal(op=">=", value=MANY),
            command=command),
        Row(metric="values that differ in any bit", value=report.different, unit="", goal=Goal(op="<=", value=0),
            command=command),
        Row(metric="differences found after one bit was changed", value=planted.different, unit="",
            goal=Goal(op=">=", value=1), command=command),
        Row(metric="audit", value=audit_s, unit="processor s", peer="scoring day by day, s", peer_value=scored_s,
            command=command),
    ], NOTE)  # fmt: skip


if __name__ == "__main__":
    main()
