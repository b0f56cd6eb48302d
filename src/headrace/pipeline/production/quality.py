"""The quality of a version in production, from its logged predictions and the labels that are mature by now."""

from __future__ import annotations

import numpy as np

from headrace.evaluate.metrics import metrics_beside
from headrace.lake.keys import row_keys
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.prediction_log.log import PredictionLog
from headrace.synthesis.spine.build import build_spine


def live_metrics(context: Context, version: str, since_us: int, until_us: int, now_us: int) -> dict[str, float]:
    """Compute the metrics of logged predictions with cutoff in [since, until) whose labels are mature.

    Args:
        context: of the problem.
        version: whose predictions.
        since_us: start of the window.
        until_us: its end.
        now_us: a label is mature if it was known before this instant.

    Returns:
        `predictions` and `labelled`, which are counts; and every metric of the problem's kind, unless all labels of a
        binary problem are equal.
    """
    problem = context.problem
    logged = PredictionLog(context.root, problem.name).probabilities(since_us, until_us, version=version)
    snapshot = Lake(context.root, problem.name).snapshot()
    spine = build_spine(problem, snapshot, start_us=since_us, end_us=until_us, now_us=now_us, engine=context.engine)
    mature = spine.filter(spine["mature"])
    label = mature["label"].to_numpy()
    rows = row_keys(mature, problem.spine_table.keys)
    predicted = np.array([logged.get(key, np.nan) for key in rows], dtype=np.float64)
    measured = np.isfinite(predicted)
    found = {"predictions": float(len(logged)), "labelled": float(measured.sum())}
    if measured.any() and (not problem.label_expression.binary or len(np.unique(label[measured])) == 2):
        found |= {
            name: metric.value(label[measured], predicted[measured])
            for name, metric in metrics_beside(problem.metric, label[measured]).items()
        }
    return found
