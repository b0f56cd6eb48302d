"""Metrics of logged predictions whose labels are mature."""

from __future__ import annotations

import numpy as np

from headrace.evaluate.metrics import METRICS
from headrace.lake.keys import row_keys
from headrace.lake.predictions import PredictionLog
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.synthesis.spine.build import build_spine


def quality(context: Context, version: str, since_us: int, until_us: int, now_us: int) -> dict[str, float]:
    """Metrics of logged predictions with cutoff in [since, until) whose labels are mature now, and their counts."""
    problem = context.problem
    logged = PredictionLog(context.root, problem.name).probabilities(since_us, until_us, version=version)
    snapshot = Lake(context.root, problem.name).snapshot()
    spine = build_spine(problem, snapshot, start_us=since_us, end_us=until_us, now_us=now_us, engine=context.engine)
    mature = spine.filter(spine["mature"])
    label = mature["label"].to_numpy()
    rows = row_keys(mature, problem.spine_table.keys)
    predicted = np.array([logged.get(key, np.nan) for key in rows], dtype=np.float64)
    seen = np.isfinite(predicted)
    found = {"predictions": float(len(logged)), "labelled": float(seen.sum())}
    if seen.any() and (not problem.label_expression.binary or len(np.unique(label[seen])) == 2):
        found |= {
            name: metric.value(label[seen], predicted[seen])
            for name, metric in METRICS.items()
            if metric.binary == problem.label_expression.binary
        }
    return found
